/** Text as it is: parameters, outputs, and commands to copy. */
import { html, useState } from './html.js';
import { say } from './messages.js';

/** @param {{title: string, values: Record<string, unknown> | null | undefined, none: string}} props */
export function Values({ title, values, none }) {
  const entries = Object.entries(values ?? {});
  return html`<section class="values"><h3>${title}</h3>
    ${entries.length === 0 ? html`<p class="faint">${none}</p>` : html`<dl>${entries.map(([name, value]) => html`<div key=${name}>
      <dt>${name}</dt><dd><pre>${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}</pre></dd></div>`)}</dl>`}</section>`;
}

/** Commands to copy. @param {{lines: [string, string][]}} props Names and commands. */
export function CodeLines({ lines }) {
  const [open, setOpen] = useState(lines[0]?.[0]);
  const line = lines.find(([name]) => name === open)?.[1] ?? '';
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(line);
      say('Copied.');
    } catch {
      say('The browser does not let this page copy.', { bad: true });
    }
  };
  return html`<section class="code" aria-label="The same in a terminal">
    <div class="tabs small-tabs"><div role="tablist">${lines.map(([name]) => html`<button key=${name} type="button" role="tab" aria-selected=${name === open} onClick=${() => setOpen(name)}>${name}</button>`)}</div>
      <button type="button" class="quiet copy-line" onClick=${copy}>Copy</button></div>
    <pre tabindex="0" role="tabpanel" aria-label=${open}>${line}</pre></section>`;
}
