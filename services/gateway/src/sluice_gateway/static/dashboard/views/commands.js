/** What can be done to a run, each after a question and with a reason. */
import { html, useState } from '../ui/html.js';
import { go } from '../ui/router.js';
import { ask } from '../ui/dialog.js';
import { say } from '../ui/toasts.js';
import { post, runPath } from '../data/api.js';
import { may } from '../data/identity.js';
import { runAddress } from './addresses.js';

const COMMANDS = [
  { name: 'suspend', label: 'Suspend', when: (run) => ['Pending', 'Running', 'Submitted'].includes(run.phase), text: 'Steps that run go on; no others start.' },
  { name: 'resume', label: 'Resume', when: (run) => run.phase === 'Suspended', text: 'All suspended steps go on.' },
  { name: 'stop', label: 'Stop', when: (run) => !run.terminal, text: 'Steps that run are ended; exit handlers run.', bad: true },
  { name: 'terminate', label: 'Terminate', when: (run) => !run.terminal && run.phase !== 'Accepted', text: 'Ended at once, without exit handlers.', bad: true },
  { name: 'retry', label: 'Retry', when: (run) => ['Failed', 'Error'].includes(run.phase), text: 'The steps that failed run again.' },
  { name: 'rerun', label: 'Run again', when: (run) => run.terminal && run.parameters !== null, text: 'A new run with the same workflow and parameters.' },
];

/** @param {{run: any, onDone: () => void}} props */
export function Commands({ run, onDone }) {
  const [busy, setBusy] = useState(false);
  const act = async (command) => {
    const answer = await ask({ title: `${command.label} ${run.id}?`, text: command.text, action: command.label, bad: command.bad, reason: command.name !== 'rerun' });
    if (!answer) return;
    setBusy(true);
    try {
      const body = command.name === 'rerun' ? {} : answer.reason ? { reason: answer.reason } : {};
      const document = await post(runPath(run.id, run.tenant, `/${command.name}`), body);
      if (command.name === 'rerun') go(runAddress({ id: document.id, tenant: document.tenant }));
      else {
        say(`${command.label}: the command is on its way.`);
        onDone();
      }
    } catch (problem) {
      say(/** @type {Error} */ (problem).message, { bad: true });
    } finally {
      setBusy(false);
    }
  };
  return html`<div class="commands">${COMMANDS.filter((command) => command.when(run) && may(command.name === 'rerun' ? 'runs:start' : 'runs:command')).map((command) => html`<button key=${command.name}
    type="button" class=${command.bad ? 'bad' : ''} disabled=${busy} onClick=${() => act(command)}>${command.label}</button>`)}</div>`;
}
