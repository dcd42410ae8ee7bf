/** Keys, and what they do. */
import { html, signal, useEffect, useRef } from './html.js';
import { go } from './router.js';

const KEYS = [['/', 'Search'], ['g r', 'Runs'], ['g s', 'Start a run'], ['g a', 'Approvals'], ['g d', 'Dead letters'], ['g l', 'Limits'], ['?', 'These keys'], ['Esc', 'Close what is open']];
const PLACES = { r: '/runs', s: '/start', a: '/approvals', d: '/dead-letters', l: '/limits' };
const shown = signal(false);

export function Keys() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    let before = '';
    const press = (/** @type {KeyboardEvent} */ event) => {
      const inField = /** @type {HTMLElement} */ (event.target).matches?.('input, textarea, select');
      if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
      const search = /** @type {HTMLElement | null} */ (document.querySelector('[type=search]'));
      if (event.key === '?') shown.value = true;
      else if (event.key === '/' && search) {
        event.preventDefault();
        search.focus();
      }
      else if (before === 'g' && PLACES[event.key]) go(PLACES[event.key]);
      before = event.key;
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
  useEffect(() => { if (shown.value) dialog.current?.showModal(); }, [shown.value]);
  if (!shown.value) return null;
  const close = () => { shown.value = false; };
  return html`<dialog ref=${dialog} aria-labelledby="keys" onClose=${close}><form method="dialog"><h2 id="keys">Keys</h2>
    <dl class="keys">${KEYS.map(([key, does]) => html`<dt key=${key}>${key.split(' ').map((each) => html`<kbd>${each}</kbd> `)}</dt><dd>${does}</dd>`)}</dl>
    <div class="actions"><button type="submit">Close</button></div></form></dialog>`;
}
