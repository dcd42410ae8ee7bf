/** Commands for a terminal, to copy. */
import { html, useState } from './html.js';
import { say } from './toasts.js';

/** @param {{lines: [string, string][]}} props Names and commands. */
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
