/** What can be done to a run, or to all runs of a filter, after a question and with a reason. */
import { html, useState } from '../ui/html.js';
import { go, runAddress } from '../ui/router.js';
import { ask, complain, say } from '../ui/messages.js';
import { post, runPath } from '../data/api.js';
import { may } from '../data/identity.js';
import { countChanged, restOf, resultOf } from '../lib/effects.js';
import { asQuery, write } from '../lib/filters.js';
import { keyOf } from '../lib/lists.js';

const MOST = 1000;
const SHOWN = 8;
const FAILED = ['Failed', 'Error'];
const RETRIED = ['Succeeded', ...FAILED];
const COMMANDS = [
  { name: 'suspend', label: 'Suspend', when: (run) => ['Pending', 'Running', 'Submitted'].includes(run.phase), text: 'Steps that run go on; no others start.' },
  { name: 'resume', label: 'Resume', when: (run) => run.phase === 'Suspended', text: 'All suspended steps go on.' },
  { name: 'stop', label: 'Stop', when: (run) => !run.terminal, text: 'Steps that run are ended; exit handlers run.', bad: true },
  { name: 'terminate', label: 'Terminate', when: (run) => !run.terminal && run.phase !== 'Accepted', text: 'Ended at once, without exit handlers.', bad: true },
  { name: 'retry', label: 'Retry', when: (run) => FAILED.includes(run.phase), text: 'The steps that failed run again.' },
  { name: 'rerun', label: 'Run again', when: (run) => run.terminal && run.parameters !== null, text: 'A new run with the same workflow and parameters.' },
];
const BULK = COMMANDS.filter(({ name }) => name !== 'rerun');

/**
 * Send a command; what the gateway answers to it is said.
 *
 * @param {any} run @param {{name: string, label: string}} command @param {Record<string, unknown>} body
 * @param {() => void} onDone
 */
async function send(run, { name, label }, body, onDone) {
  try {
    const document = await post(runPath(run.id, run.tenant, `/${name}`), body);
    if (name === 'rerun') return go(runAddress(document));
    say(`${label}: the command is on its way.`);
    onDone();
  } catch (problem) {
    complain(problem);
  }
}

/** @param {{run: any, onDone: () => void}} props */
export function Commands({ run, onDone }) {
  const [busy, setBusy] = useState(false);
  const act = async (command) => {
    const answer = await ask({ title: `${command.label} ${run.id}?`, text: command.text, action: command.label, bad: command.bad, reason: command.name !== 'rerun' });
    if (!answer) return;
    setBusy(true);
    await send(run, command, answer, onDone);
    setBusy(false);
  };
  return html`<div class="commands">${COMMANDS.filter((command) => command.when(run) && may(command.name === 'rerun' ? 'runs:start' : 'runs:command')).map((command) => html`<button key=${command.name}
    type="button" class=${command.bad ? 'bad' : ''} disabled=${busy} onClick=${() => act(command)}>${command.label}</button>`)}</div>`;
}

/** @param {{run: any, step: {id: string, name: string}, onDone: () => void}} props */
export function RetryFrom({ run, step, onDone }) {
  if (!RETRIED.includes(run.phase) || !may('runs:command')) return null;
  const act = async () => {
    const answer = await ask({ title: `Retry from ${step.name}?`, text: 'This step and all that follows it run again, also what succeeded.', action: 'Retry', reason: true });
    if (answer) await send(run, { name: 'retry', label: 'Retry' }, { ...answer, step: step.id }, onDone);
  };
  return html`<button type="button" onClick=${act}>Retry from here</button>`;
}

/**
 * One command for all runs that fulfil the filter; `counts` are by phase, of all phases.
 *
 * @param {{filters: import('../lib/filters.js').Filters, counts: Record<string, number> | null, total: number, rows: readonly any[]}} props
 */
export function BulkCommands({ filters, counts, total, rows }) {
  // Without a filter it would be all runs, which nobody means.
  if (!may('runs:command') || write(filters) === '' || total === 0 || total > MOST) return null;
  const act = async (/** @type {Event} */ event) => {
    const select = /** @type {HTMLSelectElement} */ (event.target);
    const command = BULK.find(({ name }) => name === select.value);
    select.value = '';
    if (!command) return;
    const { name, label } = command;
    const changed = countChanged(name, counts, filters.phase);
    const rest = changed < total ? ` ${restOf(name, total - changed)}.` : '';
    if (changed === 0) return say(`Nothing is to be done:${rest}`);
    const answer = await ask({
      title: `${label} ${changed} runs?`,
      text: `All runs that fulfil the filter.${rest} If their number has changed by then, nothing is done.`,
      about: html`<ul class="preview" aria-label="The first of them">${rows.slice(0, SHOWN).map((run) => html`<li key=${keyOf(run)}><span class="id">${run.id}</span> ${run.phase}</li>`)}
        ${total > SHOWN && html`<li class="faint">and ${total - SHOWN} more</li>`}</ul>`,
      action: `${label} ${changed}`, bad: true, reason: true,
    });
    if (!answer) return;
    const query = asQuery(filters, Date.now());
    query.set('expect', String(total));
    try {
      const { items } = await post(`/v1/runs:${name}?${query}`, answer);
      const { text, bad } = resultOf(name, items);
      say(`${label}: ${text}`, { bad });
    } catch (problem) {
      complain(problem);
    }
  };
  return html`<div class="bulk"><label><span class="unseen">Command for all that are shown</span><select onChange=${act}>
    <option value="">Command all ${total} …</option>${BULK.map(({ name, label }) => html`<option key=${name} value=${name}>${label}</option>`)}</select></label></div>`;
}
