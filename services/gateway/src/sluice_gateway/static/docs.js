"use strict";

// Descriptions are text with code in backticks. Swagger UI's own way is HTML from Markdown, which
// the page's policy (Trusted Types) forbids.
const plainDescriptions = ({ React }) => {
  const code = (text, index) => (index % 2 ? React.createElement("code", { key: index }, text) : text);
  const Text = ({ source, className }) =>
    React.createElement("p", { className }, ...String(source ?? "").split("`").map(code));
  return { components: { Markdown: Text }, wrapComponents: { Markdown: () => Text } };
};

// Nothing leaves this origin: no validator of others, and nothing is kept in the browser.
SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("reference"),
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  plugins: [plainDescriptions],
  validatorUrl: null,
});
