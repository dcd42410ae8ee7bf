/** Parameters and outputs. */
import { html } from '../ui/html.js';

/** @param {{title: string, values: Record<string, unknown> | null | undefined, none: string}} props */
export function Values({ title, values, none }) {
  const entries = Object.entries(values ?? {});
  return html`<section class="values"><h3>${title}</h3>
    ${entries.length === 0 ? html`<p class="faint">${none}</p>` : html`<dl>${entries.map(([name, value]) => html`<div key=${name}>
      <dt>${name}</dt><dd><pre>${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}</pre></dd></div>`)}</dl>`}</section>`;
}
