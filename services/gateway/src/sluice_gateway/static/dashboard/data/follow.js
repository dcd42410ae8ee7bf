/** Follows a stream of events, over broken connections too, and for all tabs at once. */
import { request } from './api.js';

/**
 * @typedef {import('../lib/run-state.js').StatusEvent} StatusEvent
 * @typedef {{id: string | null, event: string, data: StatusEvent | null}} Line
 * @typedef {'connecting' | 'live' | 'offline' | 'ended'} Connection
 */

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

/**
 * Read the stream, and resume it behind the last line whenever it breaks.
 *
 * @param {string} path
 * @param {{
 *   signal: AbortSignal,
 *   after?: string | null,
 *   onLines: (lines: Line[]) => void,
 *   onConnection: (connection: Connection) => void,
 *   onGone?: () => void,
 * }} to `after`: the place to begin behind. `onGone`: the gateway no longer has what follows; the stream goes on
 *   from now.
 * @returns {Promise<void>} Once the stream has ended; rejects with a `Problem` that waiting does not solve.
 */
export async function follow(path, { signal, after = null, onLines, onConnection, onGone }) {
  let place = after;
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    onConnection('connecting');
    try {
      const headers = { Accept: 'application/x-ndjson', ...(place ? { 'Last-Event-ID': place } : {}) };
      const response = await request(path, { headers, signal });
      if (response.status === 204) break;
      onConnection('live');
      for await (const lines of linesOf(response)) {
        pause = FIRST_PAUSE;
        place = lines.findLast((line) => line.id)?.id ?? place;
        onLines(lines);
      }
      // The end of a stream that is not over, or of a run: the next answer says which.
      await rest(pause, signal);
    } catch (error) {
      if (signal.aborted) return;
      const problem = /** @type {import('./api.js').Problem} */ (error);
      if (problem.status === 410) {
        place = null;
        onGone?.();
        continue;
      }
      if (problem.status >= 400 && problem.status < 500 && ![408, 429].includes(problem.status)) throw error;
      onConnection('offline');
      await rest(Math.max(pause, (problem.retryAfter ?? 0) * 1000), signal);
      pause = Math.min(LONGEST_PAUSE, pause * 2);
    }
  }
  if (!signal.aborted) onConnection('ended');
}

/** @param {Response} response @returns {AsyncGenerator<Line[]>} */
async function* linesOf(response) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  const lines = new Lines();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const complete = lines.push(decoder.decode(value, { stream: true }));
      if (complete.length) yield complete.map((line) => JSON.parse(line));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal */
function rest(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds * (0.75 + Math.random() / 2));
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(undefined); }, { once: true });
  });
}

/** Splits text that comes in pieces into lines. */
export class Lines {
  #rest = '';

  /**
   * @param {string} piece
   * @returns {string[]} The lines that are complete with it, without empty ones.
   */
  push(piece) {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.filter((line) => line !== '');
  }
}

/**
 * One stream of all runs for all tabs of a person that look at the same filter.
 *
 * A browser opens six connections to a gateway over HTTP/1.1. So the tab that holds a lock reads the
 * stream, and the others hear from it; if it is closed, the next one gets the lock and goes on from
 * the last place that it heard of.
 *
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
