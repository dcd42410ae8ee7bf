/**
 * One stream of all runs for all tabs of a person that look at the same filter.
 *
 * A browser opens six connections to a gateway over HTTP/1.1. So the tab that holds a lock reads the
 * stream, and the others hear from it; if it is closed, the next one gets the lock and goes on from
 * the last place that it heard of.
 */
import { follow } from './follow.js';

/** @typedef {import('./follow.js').Line} Line */
/** @typedef {import('./follow.js').Connection} Connection */

/**
 * @param {string} path
 * @param {{
 *   whose: string, signal: AbortSignal, onLines: (lines: Line[]) => void,
 *   onConnection: (connection: Connection) => void, onGone: () => void,
 * }} to `whose`: the principal, so that nobody hears another one's events. `onGone`: events may
 *   have been missed.
 */
export function followShared(path, { whose, ...to }) {
  // Pages that are not secure, as http://10.0.0.1 is, have no locks.
  if (!navigator.locks) return follow(path, to);
  const { signal } = to;
  const channel = new BroadcastChannel(`sluice ${whose} ${path}`);
  const post = (/** @type {unknown} */ message) => { if (!signal.aborted) channel.postMessage(message); };
  signal.addEventListener('abort', () => channel.close(), { once: true });
  let isReader = false;
  /** @type {Connection} */
  let connection = 'connecting';
  /** @type {string | null} */
  let place = null;
  const take = (/** @type {Line[]} */ lines) => {
    place = lines.findLast((line) => line.id)?.id ?? place;
    to.onLines(lines);
  };
  channel.onmessage = ({ data }) => {
    if (isReader) {
      if (data.hello) post({ connection, place });
      return;
    }
    place = data.place ?? place;
    if (data.connection) to.onConnection(data.connection);
    if (data.lines) take(data.lines);
    if (data.gone) to.onGone();
  };
  post({ hello: true });
  return navigator.locks.request(channel.name, { signal }, async () => {
    isReader = true;
    await follow(path, {
      signal,
      after: place,
      onLines: (lines) => { take(lines); post({ lines }); },
      onConnection: (next) => { connection = next; to.onConnection(next); post({ connection, place }); },
      onGone: () => { to.onGone(); post({ gone: true }); },
    });
  }).catch((error) => { if (error.name !== 'AbortError') throw error; });
}
