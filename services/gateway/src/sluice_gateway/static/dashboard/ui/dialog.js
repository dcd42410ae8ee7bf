/** A question before something is done. */
import { html, signal, useEffect, useRef } from './html.js';

/**
 * @typedef {{title: string, text: string, action: string, bad?: boolean, reason?: boolean, about?: unknown}} Question
 * @type {import('./html.js').Signal<{question: Question, answer: (answer: {reason: string} | null) => void} | null>}
 */
const open = signal(null);

/** @param {Question} question @returns {Promise<{reason: string} | null>} Null if it is not to be done. */
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
    answer({ reason: String(form.get('reason') ?? '').trim() });
  };
  return html`<dialog ref=${dialog} aria-labelledby="question" onCancel=${() => answer(null)}>
    <form onSubmit=${submit}><h2 id="question">${question.title}</h2><p>${question.text}</p>${question.about}
      ${question.reason && html`<label>Reason (optional)<input name="reason" maxlength="1024" autocomplete="off" /></label>`}
      <div class="actions"><button type="button" onClick=${() => answer(null)}>Cancel</button>
      <button type="submit" class=${question.bad ? 'bad primary' : 'primary'}>${question.action}</button></div></form></dialog>`;
}
