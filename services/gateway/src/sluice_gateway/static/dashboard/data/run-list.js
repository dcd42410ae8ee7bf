/** The runs that fulfil a filter, newest first, kept up to date by the stream of all runs. */
import { batch, signal } from '../ui/html.js';
import { asQuery, shows } from '../lib/filters.js';
import { millis } from '../lib/format.js';
import { OrderedRuns, keyOf } from '../lib/lists.js';
import { get } from './api.js';
import { who } from './identity.js';
import { followShared } from './follow.js';

/** @typedef {import('../lib/filters.js').Filters} Filters */
/** @typedef {import('../lib/lists.js').Row} Row */

const PAGE = 200;
const COUNTS_EVERY = 5000;
const PULSE = 60;
const FLUSH_EVERY = 100;
const COUNT_AFTER = 1000;
const PATIENCE = 3000;

export class RunList {
  /** Grows with every change of `rows`, which is one array that is changed in place. */
  version = signal(0);
  counts = signal(/** @type {Record<string, number> | null} */ (null));
  connection = signal(/** @type {import('./follow.js').Connection} */ ('connecting'));
  problem = signal(/** @type {Error | null} */ (null));
  loading = signal(true);
  complete = signal(false);
  /** The events of each of the last sixty seconds. */
  pulse = signal(/** @type {readonly number[]} */ (new Array(PULSE).fill(0)));

  #runs;
  #filters;
  /** @type {import('./follow.js').Line[]} */
  #waiting = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #flushing;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #counting;
  #isOpen = false;
  #abort = new AbortController();
  /** @type {string | null} */
  #cursor = null;
  #isReading = false;

  /** @param {Filters} filters */
  constructor(filters) {
    this.#filters = filters;
    this.#runs = new OrderedRuns((run) => shows(filters, run));
  }

  get rows() {
    return /** @type {readonly Row[]} */ (this.#runs.rows);
  }

  open() {
    const { signal: aborted } = this.#abort;
    followShared(`/v1/events?${this.#query({ phases: false })}`, {
      whose: who.value.identity?.principal ?? '',
      signal: aborted,
      onLines: (lines) => this.#take(lines),
      onConnection: (connection) => {
        this.connection.value = connection;
        if (connection === 'live') this.#begin();
      },
      onGone: () => this.#reload(),
    }).catch((error) => { this.problem.value = error; });
    // A list without its stream is better than none.
    const impatient = setTimeout(() => this.more(), PATIENCE);
    aborted.addEventListener('abort', () => clearTimeout(impatient), { once: true });
    this.count();
    const counting = setInterval(() => { if (!document.hidden) this.count(); }, COUNTS_EVERY);
    const beating = setInterval(() => { this.pulse.value = [...this.pulse.value.slice(1), 0]; }, 1000);
    aborted.addEventListener('abort', () => { clearInterval(counting); clearInterval(beating); }, { once: true });
    return this;
  }

  close() {
    this.#abort.abort();
    clearTimeout(this.#flushing);
    clearTimeout(this.#counting);
  }

  /** Read the list once its stream is open: what happens from then on comes by the stream. */
  #begin() {
    if (this.#isOpen) return;
    this.#isOpen = true;
    if (this.#runs.size > 0) this.#reload();
    else this.more();
  }

  /** Read the next part of the list, if there is one. */
  more = async () => {
    if (this.#isReading || this.complete.value) return;
    this.#isReading = true;
    try {
      const query = this.#query({ phases: true });
      query.set('limit', String(PAGE));
      if (this.#cursor) query.set('cursor', this.#cursor);
      const page = await get(`/v1/runs?${query}`, this.#abort.signal);
      this.#cursor = page.next_cursor;
      batch(() => {
        // What the stream has said meanwhile is newer.
        this.#runs.add(page.runs.map(rowOf));
        this.version.value += 1;
        this.complete.value = page.next_cursor === null;
        this.problem.value = null;
        this.loading.value = false;
      });
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      batch(() => {
        this.problem.value = /** @type {Error} */ (error);
        this.loading.value = false;
      });
    } finally {
      this.#isReading = false;
    }
  };

  count = async () => {
    try {
      const { counts } = await get(`/v1/runs:counts?${this.#query({ phases: false })}`, this.#abort.signal);
      const accepted = this.counts.value?.Accepted ?? 0;
      this.counts.value = counts;
      // A run has no event before it is submitted.
      if ((counts.Accepted ?? 0) > accepted) await this.#readNewest();
    } catch {
      // The connection of the stream says what is wrong.
    }
  };

  async #readNewest() {
    const page = await get(`/v1/runs?${this.#query({ phases: true })}`, this.#abort.signal);
    this.#runs.add(page.runs.map(rowOf));
    this.version.value += 1;
  }

  #query({ phases }) {
    return asQuery(phases ? this.#filters : { ...this.#filters, phase: [] }, Date.now());
  }

  #reload() {
    this.#runs.clear();
    this.#cursor = null;
    this.complete.value = false;
    this.more();
  }

  /** @param {import('./follow.js').Line[]} lines */
  #take(lines) {
    this.#waiting.push(...lines.filter((line) => line.data));
    // Some hundred events a second change the page some times a second; also where nobody sees it, so
    // that they do not pile up.
    this.#flushing ??= setTimeout(() => { this.#flushing = undefined; this.#flush(); }, FLUSH_EVERY);
  }

  #flush() {
    const lines = this.#waiting;
    this.#waiting = [];
    for (const { data } of lines) this.#put(/** @type {any} */ (data));
    if (!document.hidden) this.#counting ??= setTimeout(() => { this.#counting = undefined; this.count(); }, COUNT_AFTER);
    const pulse = [...this.pulse.value];
    pulse[PULSE - 1] += lines.length;
    batch(() => {
      this.pulse.value = pulse;
      this.version.value += 1;
    });
  }

  #put(event) {
    const row = rowOf({ ...event, id: event.run_id, accepted_at: event.accepted_at ?? event.observed_at });
    const oldest = this.rows.at(-1);
    // A run that is older than all that were read is read with its part of the list.
    const isReached = this.complete.value || !oldest || row.at >= oldest.at;
    if (isReached || this.#runs.get(keyOf(row))) this.#runs.put(row);
  }
}

/** @returns {Row} */
function rowOf(run) {
  const { id, tenant, workflow, phase, terminal, attempt, progress, labels, started_at, finished_at } = run;
  return {
    id, tenant, workflow, phase, terminal, attempt, progress, labels: labels ?? {},
    at: millis(run.accepted_at) ?? 0, started_at, finished_at,
  };
}
