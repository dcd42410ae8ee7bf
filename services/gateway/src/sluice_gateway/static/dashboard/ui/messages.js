/** A question before something is done, and a short message after it. */
import { html, signal, useEffect, useRef } from './html.js';

/**
 * @typedef {{title: string, text: string, action: string, bad?: boolean, reason?: boolean, about?: unknown}} Question
 * @typedef {{reason?: string}} Answer
 * @type {import('./html.js').Signal<{question: Question, answer: (answer: Answer | null) => void} | null>}
 */
const open = signal(null);

/** @param {Question} question @returns {Promise<Answer | null>} Null if it is not to be done; else what a command has as its body. */
export function ask(question) {
  return new Promise((resolve) => {
    open.value = { question, answer: (answer) => { open.value = null; resolve(answer); } };
  });
}

export function Dialog() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const asked = open.value;
  useEffect(() => { if (asked) dialog.current?.showModal(); }, [asked]);
  if (!asked) return null;
  const { question, answer } = asked;
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const reason = String(form.get('reason') ?? '').trim();
    answer(reason ? { reason } : {});
  };
  return html`<dialog ref=${dialog} aria-labelledby="question" onCancel=${() => answer(null)}>
    <form onSubmit=${submit}><h2 id="question">${question.title}</h2><p>${question.text}</p>${question.about}
      ${question.reason && html`<label>Reason (optional)<input name="reason" maxlength="1024" autocomplete="off" /></label>`}
      <div class="actions"><button type="button" onClick=${() => answer(null)}>Cancel</button>
      <button type="submit" class=${question.bad ? 'bad primary' : 'primary'}>${question.action}</button></div></form></dialog>`;
}

const LASTS = 6000;
const toasts = signal(/** @type {readonly {id: number, text: string, bad: boolean}[]} */ ([]));
let last = 0;

/** Show a message for a while. @param {string} text @param {{bad?: boolean}} [how] */
export function say(text, { bad = false } = {}) {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value, { id, text, bad }];
  setTimeout(() => { toasts.value = toasts.value.filter((each) => each.id !== id); }, LASTS);
}

/** Say why something was not done. @param {any} problem */
export function complain(problem) {
  const errors = (problem.errors ?? []).map(({ pointer, detail }) => `${pointer}: ${detail}`);
  say([problem.message, ...errors].join(' '), { bad: true });
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${toasts.value.map(({ id, text, bad }) => html`<p key=${id} class=${bad ? 'toast bad' : 'toast'}>${text}</p>`)}</div>`;
}
