/** One command for all runs that fulfil the filter, after a look at what it hits. */
import { html } from '../ui/html.js';
import { ask } from '../ui/dialog.js';
import { say } from '../ui/toasts.js';
import { post } from '../data/api.js';
import { may } from '../data/identity.js';
import { asQuery, write } from '../lib/filters.js';
import { keyOf } from '../lib/ordered-runs.js';

const MOST = 1000;
const SHOWN = 8;
const COMMANDS = [['stop', 'Stop'], ['terminate', 'Terminate'], ['suspend', 'Suspend'], ['resume', 'Resume'], ['retry', 'Retry']];

/** @param {{filters: import('../lib/filters.js').Filters, total: number, rows: readonly any[]}} props */
export function BulkCommands({ filters, total, rows }) {
  // Without a filter it would be all runs, which nobody means.
  if (!may('runs:command') || write(filters) === '' || total === 0 || total > MOST) return null;
  const act = async (/** @type {Event} */ event) => {
    const select = /** @type {HTMLSelectElement} */ (event.target);
    const [name, label] = COMMANDS.find(([each]) => each === select.value) ?? [];
    select.value = '';
    if (!name) return;
    const answer = await ask({
      title: `${label} ${total} runs?`,
      text: 'All runs that fulfil the filter. If their number has changed by then, nothing is done.',
      about: html`<ul class="preview" aria-label="The first of them">${rows.slice(0, SHOWN).map((run) => html`<li key=${keyOf(run)}><span class="id">${run.id}</span> ${run.phase}</li>`)}
        ${total > SHOWN && html`<li class="faint">and ${total - SHOWN} more</li>`}</ul>`,
      action: `${label} ${total}`, bad: true, reason: true,
    });
    if (!answer) return;
    const query = asQuery(filters, Date.now());
    query.set('expect', String(total));
    try {
      const { items } = await post(`/v1/runs:${name}?${query}`, answer.reason ? { reason: answer.reason } : {});
      const refused = items.filter((each) => each.status >= 400).length;
      say(`${label}: ${items.length - refused} commands are on their way${refused ? `, ${refused} were refused` : ''}.`, { bad: refused > 0 });
    } catch (problem) {
      say(/** @type {Error} */ (problem).message, { bad: true });
    }
  };
  return html`<div class="bulk"><label><span class="unseen">Command for all that are shown</span><select onChange=${act}>
    <option value="">Command all ${total} …</option>${COMMANDS.map(([name, label]) => html`<option key=${name} value=${name}>${label}</option>`)}</select></label></div>`;
}
