/** One run: its document, the plan of its workflow, and every state that it has had. */
import { batch, signal } from '../ui/html.js';
import { History } from '../lib/run-state.js';
import { HISTORY, usualDuration } from '../lib/usual.js';
import { get, runPath } from './api.js';
import { follow } from './follow.js';

const FLUSH_EVERY = 100;
const LOOK_EVERY = 15_000;
const TRIES = 20;

export class RunWatch {
  /** The run as `GET /v1/runs/{id}` has it; its steps are those of `history`. */
  run = signal(/** @type {any} */ (null));
  /** @type {import('../ui/html.js').Signal<readonly import('../lib/graph.js').PlannedStep[] | null>} */
  plan = signal(null);
  /** How long runs of its workflow usually take, in milliseconds. */
  usual = signal(/** @type {number | null} */ (null));
  history = new History();
  /** Grows with every change of `history`. */
  version = signal(0);
  connection = signal(/** @type {import('./follow.js').Connection} */ ('connecting'));
  problem = signal(/** @type {Error | null} */ (null));

  #abort = new AbortController();
  #path;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #flushing;
  /** @type {string | null} */
  #place = null;
  #isFollowing = false;
  /** @type {import('./follow.js').Line[]} */
  #waiting = [];

  /** @param {{id: string, tenant: string}} run */
  constructor({ id, tenant }) {
    this.#path = (/** @type {string} */ rest) => runPath(id, tenant, rest);
  }

  open() {
    this.#read().then(() => this.#follow()).catch((error) => this.#fail(error));
    const looking = setInterval(() => { if (!document.hidden) this.#follow(); }, LOOK_EVERY);
    this.#abort.signal.addEventListener('abort', () => clearInterval(looking), { once: true });
    return this;
  }

  /** Look whether a run that is over goes on: a command was sent, which takes a moment. */
  expectMore() {
    for (let tries = 1; tries <= TRIES; tries += 1) setTimeout(() => this.#follow(), tries * 1000);
  }

  /** Follow the events to the end of the run, behind those that are known. */
  async #follow() {
    if (this.#isFollowing || this.#abort.signal.aborted) return;
    this.#isFollowing = true;
    try {
      await follow(this.#path('/events'), {
        signal: this.#abort.signal,
        after: this.#place,
        onLines: (lines) => this.#take(lines),
        // A run that is over is asked for again and again, which is nothing to see.
        onConnection: (connection) => { if (connection !== 'connecting' || !this.history.last) this.connection.value = connection; },
      });
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isFollowing = false;
    }
  }

  #fail(error) {
    if (!this.#abort.signal.aborted) this.problem.value = error;
  }

  close() {
    this.#abort.abort();
    clearTimeout(this.#flushing);
  }

  async #read() {
    const run = await get(this.#path(''), this.#abort.signal);
    this.run.value = run;
    if (!run.workflow || this.plan.value) return;
    this.#readUsual(run);
    try {
      const entry = await get(`/v1/workflows/${encodeURIComponent(run.workflow)}`, this.#abort.signal);
      this.plan.value = entry.graph?.steps ?? null;
    } catch {
      // An entry that is gone, or that may not be read: the graph grows with the steps.
    }
  }

  /** Nothing waits for it: lists are read one at a time. */
  async #readUsual({ id, tenant, workflow }) {
    const query = new URLSearchParams({ workflow, tenant, phase: 'Succeeded', limit: String(HISTORY) });
    try {
      const { runs } = await get(`/v1/runs?${query}`, this.#abort.signal);
      this.usual.value = usualDuration(runs, { id, tenant });
    } catch {
      // Then it is not shown.
    }
  }

  /** @param {import('./follow.js').Line[]} lines */
  #take(lines) {
    this.#place = lines.findLast((line) => line.id)?.id ?? this.#place;
    this.#waiting.push(...lines);
    this.#flushing ??= setTimeout(() => { this.#flushing = undefined; this.#flush(); }, FLUSH_EVERY);
  }

  #flush() {
    const lines = this.#waiting;
    this.#waiting = [];
    batch(() => {
      for (const { event, data } of lines) {
        if (!data) continue;
        if (event === 'sluice.request.queued') this.run.value = { ...this.run.value, ...data };
        else this.history.push(data);
      }
      const last = this.history.last?.event;
      if (last && this.run.value) {
        const { parameters, links, accepted_at } = this.run.value;
        this.run.value = { ...last, id: last.run_id, parameters, links, accepted_at: last.accepted_at ?? accepted_at };
      }
      this.version.value += 1;
    });
  }
}
