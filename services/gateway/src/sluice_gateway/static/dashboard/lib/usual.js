/**
 * How long runs of a workflow usually take: the median of the last that succeeded.
 *
 * @typedef {{id: string, tenant: string, attempt: number, started_at: string | null, finished_at: string | null}} EndedRun
 */
import { millis } from './format.js';

const MOST = 20;
const LEAST = 3;

/** How many runs to read: one of them may be the run itself. */
export const HISTORY = MOST + 1;

/**
 * @param {readonly EndedRun[]} runs Those that succeeded, newest first.
 * @param {{id: string, tenant: string}} self It does not count.
 * @returns {number | null} In milliseconds; null with fewer than three runs.
 */
export function usualDuration(runs, { id, tenant }) {
  const took = [];
  for (const run of runs.filter((each) => each.id !== id || each.tenant !== tenant).slice(0, MOST)) {
    const [started, finished] = [millis(run.started_at), millis(run.finished_at)];
    // A retry has only the steps that were left.
    if (run.attempt === 1 && started !== null && finished !== null) took.push(Math.max(0, finished - started));
  }
  if (took.length < LEAST) return null;
  took.sort((a, b) => a - b);
  const middle = took.length >> 1;
  return took.length % 2 ? took[middle] : (took[middle - 1] + took[middle]) / 2;
}

/**
 * Where the run stands against that time.
 *
 * @param {{attempt?: number, started_at?: string | null, finished_at?: string | null, terminal: boolean}} run
 * @param {number | null} usual
 * @param {number} now
 * @returns {{end: number | null, isLonger: boolean}} `end`: when it usually ends, of a run that is live; else null.
 */
export function usualEnd({ attempt, started_at, finished_at, terminal }, usual, now) {
  const started = millis(started_at);
  if (usual === null || started === null) return { end: null, isLonger: false };
  const finished = millis(finished_at);
  // A retry has only the steps that were left.
  const isLive = !terminal && finished === null && attempt === 1;
  return { end: isLive ? started + usual : null, isLonger: isLive && now > started + usual };
}
