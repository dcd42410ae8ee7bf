/**
 * One stream of all runs for all tabs that look at the same filter.
 *
 * A browser opens six connections to a gateway over HTTP/1.1. So the tab that holds a lock reads the
 * stream, and the others hear from it; if it is closed, the next one gets the lock.
 */
import { follow } from './follow.js';

const AT_ONCE = 1000;

/**
 * @param {string} path
 * @param {{
 *   signal: AbortSignal, onLines: (lines: import('./follow.js').Line[]) => void,
 *   onConnection: (connection: import('./follow.js').Connection) => void, onGone: () => void,
 * }} to `onGone`: events may have been missed.
 */
export function followShared(path, to) {
  // Pages that are not secure, as http://10.0.0.1 is, have no locks.
  if (!navigator.locks) return follow(path, to);
  const name = `sluice ${path}`;
  const channel = new BroadcastChannel(name);
  const { signal } = to;
  let isReader = false;
  /** @type {string | null} */
  let place = null;
  const take = (/** @type {import('./follow.js').Line[]} */ lines) => {
    place = lines.findLast((line) => line.id)?.id ?? place;
    to.onLines(lines);
  };
  channel.onmessage = ({ data }) => {
    if (isReader) return;
    if (data.lines) take(data.lines);
    if (data.connection) to.onConnection(data.connection);
    if (data.gone) to.onGone();
  };
  to.onConnection('live');
  signal.addEventListener('abort', () => channel.close(), { once: true });
  const post = (/** @type {unknown} */ message) => { if (!signal.aborted) channel.postMessage(message); };
  const asked = performance.now();
  return navigator.locks.request(name, { signal }, async () => {
    isReader = true;
    // Without a place, what was missed between the tab that was closed and this one is not known.
    if (place === null && performance.now() - asked > AT_ONCE) to.onGone();
    await follow(path, {
      signal,
      after: place,
      onLines: (lines) => { take(lines); post({ lines }); },
      onConnection: (connection) => { to.onConnection(connection); post({ connection }); },
      onGone: () => { to.onGone(); post({ gone: true }); },
    });
  }).catch((error) => { if (error.name !== 'AbortError') throw error; });
}
