/** One run: its document, the plan of its workflow, and every state that it has had. */
import { batch, signal } from '../ui/html.js';
import { History } from '../lib/run-state.js';
import { get, runPath } from './api.js';
import { follow } from './follow.js';

export class RunWatch {
  /** The run as `GET /v1/runs/{id}` has it; its steps are those of `history`. */
  run = signal(/** @type {any} */ (null));
  /** @type {import('../ui/html.js').Signal<readonly import('../lib/graph.js').PlannedStep[] | null>} */
  plan = signal(null);
  history = new History();
  /** Grows with every change of `history`. */
  version = signal(0);
  connection = signal(/** @type {import('./follow.js').Connection} */ ('connecting'));
  problem = signal(/** @type {Error | null} */ (null));

  #abort = new AbortController();
  #path;
  #frame = 0;
  /** @type {import('./follow.js').Line[]} */
  #waiting = [];

  /** @param {{id: string, tenant: string}} run */
  constructor({ id, tenant }) {
    this.#path = (/** @type {string} */ rest) => runPath(id, tenant, rest);
  }

  open() {
    this.#read().then(() => follow(this.#path('/events'), {
      signal: this.#abort.signal,
      onLines: (lines) => this.#take(lines),
      onConnection: (connection) => { this.connection.value = connection; },
    })).catch((error) => { if (!this.#abort.signal.aborted) this.problem.value = error; });
    return this;
  }

  close() {
    this.#abort.abort();
    cancelAnimationFrame(this.#frame);
  }

  async #read() {
    const run = await get(this.#path(''), this.#abort.signal);
    this.run.value = run;
    if (!run.workflow || this.plan.value) return;
    try {
      const entry = await get(`/v1/workflows/${encodeURIComponent(run.workflow)}`, this.#abort.signal);
      this.plan.value = entry.graph?.steps ?? null;
    } catch {
      // An entry that is gone, or that may not be read: the graph grows with the steps.
    }
  }

  /** @param {import('./follow.js').Line[]} lines */
  #take(lines) {
    this.#waiting.push(...lines);
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#flush(); });
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
