/** Short messages that go by themselves. */
import { html, signal } from './html.js';

const LASTS = 6000;
const toasts = signal(/** @type {readonly {id: number, text: string, bad: boolean}[]} */ ([]));
let last = 0;

/** @param {string} text @param {{bad?: boolean}} [how] */
export function say(text, { bad = false } = {}) {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value, { id, text, bad }];
  setTimeout(() => { toasts.value = toasts.value.filter((each) => each.id !== id); }, LASTS);
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${toasts.value.map(({ id, text, bad }) => html`<p key=${id} class=${bad ? 'toast bad' : 'toast'}>${text}</p>`)}</div>`;
}
