/**
 * What a command can do to runs, by the phase in which they were seen; the dispatcher decides it when
 * it reads the command.
 */

const FAILED = new Set(['Failed', 'Error']);
const ENDED = new Set([...FAILED, 'Succeeded', 'Rejected', 'Expired', 'Deleted']);
const NOT_APPLICABLE = 'urn:sluice:problem:not-applicable';

/** Whether the command may change a run in this phase. @param {string} command @param {string} phase */
export const mayChange = (command, phase) => (command === 'retry' ? FAILED.has(phase) : !ENDED.has(phase));

/**
 * How many runs of these phases the command may change; all phases if none is named.
 *
 * @param {string} command @param {Record<string, number> | null} counts @param {readonly string[]} phases
 */
export function countChanged(command, counts, phases) {
  const selected = Object.entries(counts ?? {}).filter(([phase]) => phases.length === 0 || phases.includes(phase));
  return selected.reduce((sum, [phase, each]) => sum + (mayChange(command, phase) ? each : 0), 0);
}

/** Of so many runs, why the command does not change them. @param {string} command @param {number} count */
export const restOf = (command, count) => `${count} had ${command === 'retry' ? 'not failed' : 'ended already'}`;

/**
 * What became of a command to many runs.
 *
 * @param {string} command
 * @param {readonly {status: number, phase: string | null, problem: {type: string} | null}[]} items
 * @returns {{text: string, bad: boolean}}
 */
export function resultOf(command, items) {
  let [sent, refused, rest] = [0, 0, 0];
  for (const { phase, problem } of items) {
    if (problem) {
      // Without a Workflow the run was never one, or is none any more.
      if (problem.type === NOT_APPLICABLE) rest += 1;
      else refused += 1;
    } else if (phase === null || mayChange(command, phase)) sent += 1;
    else rest += 1;
  }
  const parts = [`${sent} commands are on their way`];
  if (rest) parts.push(restOf(command, rest));
  if (refused) parts.push(`${refused} were refused`);
  return { text: `${parts.join(', ')}.`, bad: refused > 0 };
}
