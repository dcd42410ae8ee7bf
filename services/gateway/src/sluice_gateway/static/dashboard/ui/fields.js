/** The fields of a form that is made from a JSON Schema. */
import { html } from './html.js';

/**
 * @param {{
 *   fields: import('../lib/form.js').Field[], given: Record<string, string | boolean>,
 *   errors: Map<string, string>, onChange: (given: Record<string, string | boolean>) => void, prefix: string,
 * }} props `errors` by the name of the field.
 */
export function Fields({ fields, given, errors, onChange, prefix }) {
  const set = (/** @type {string} */ name) => (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    onChange({ ...given, [name]: input.type === 'checkbox' ? input.checked : input.value });
  };
  return html`${fields.map((field) => {
    const id = `${prefix}-${field.name}`;
    const error = errors.get(field.name);
    const common = {
      id,
      name: field.name,
      required: field.isRequired,
      'aria-invalid': error ? 'true' : undefined,
      'aria-describedby': `${id}-about`,
    };
    return html`<div key=${field.name} class=${`field${error ? ' wrong' : ''}`}>
      <label for=${id}>${field.name}${field.isRequired ? html`<span class="faint"> required</span>` : null}</label>
      ${input(field, common, given[field.name], set(field.name))}
      <p id=${`${id}-about`} class=${error ? 'error' : 'faint'}>${error ?? field.description}</p>
    </div>`;
  })}`;
}

function input(field, common, value, onInput) {
  switch (field.kind) {
    case 'yes-no':
      return html`<input ...${common} type="checkbox" required=${false} checked=${Boolean(value)} onInput=${onInput} />`;
    case 'choice':
      return html`<select ...${common} onChange=${onInput}>
        ${field.default === undefined && html`<option value="" selected=${value === ''}>Choose …</option>`}
        ${field.choices.map((choice) => html`<option key=${choice} value=${choice} selected=${value === choice}>${choice}</option>`)}</select>`;
    case 'number':
      return html`<input ...${common} type="number" min=${field.min} max=${field.max} step=${field.isWhole ? 1 : 'any'} value=${value} onInput=${onInput} />`;
    case 'line':
      return html`<input ...${common} value=${value} onInput=${onInput} autocomplete="off" />`;
    default:
      return html`<textarea ...${common} rows=${field.kind === 'json' ? 5 : 4} value=${value} onInput=${onInput}></textarea>`;
  }
}
