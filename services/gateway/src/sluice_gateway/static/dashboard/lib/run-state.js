/**
 * The state of a run, made from its status events: the projection that the gateway has too.
 *
 * @typedef {{
 *   id: string, name: string, phase: string, template?: string | null, type?: string | null,
 *   message?: string | null, started_at?: string | null, finished_at?: string | null,
 *   boundary?: string | null, children?: string[], inputs?: Record<string, unknown>,
 *   outputs?: Record<string, unknown>, logs?: Record<string, string>,
 * }} Step
 * @typedef {{id: string, name: string, phase: string, boundary?: string | null, children?: string[]}} Group
 * @typedef {{
 *   event_id: string, run_id: string, tenant: string, workflow: string | null, phase: string,
 *   terminal: boolean, attempt: number, sequence: number, progress?: string | null,
 *   message?: string | null, steps?: Step[], groups?: Group[], observed_at: string,
 *   [member: string]: unknown,
 * }} StatusEvent
 * @typedef {{event: StatusEvent, steps: Map<string, Step>, groups: Map<string, Group>}} RunState
 */

/**
 * Return the state after one more event; the state before is left as it is.
 *
 * @param {RunState | null} state
 * @param {StatusEvent} event
 * @returns {RunState}
 */
export function apply(state, event) {
  if (state && event.sequence <= state.event.sequence) return state;
  const retried = state !== null && event.attempt > state.event.attempt;
  return {
    event,
    steps: merged(state?.steps, event.steps, retried, event.terminal),
    groups: merged(state?.groups, event.groups, retried, event.terminal),
  };
}

/**
 * The first event of an attempt has all that the attempt has, and so has a terminal one: a retry
 * does not keep the steps that failed.
 */
function merged(known, changed, retried, terminal) {
  const whole = retried || (terminal && changed?.length);
  if (!changed?.length && !whole && known) return known;
  const all = new Map(whole ? [] : known);
  for (const each of changed ?? []) all.set(each.id, each);
  return all;
}

/**
 * Every state that a run has had, without keeping a copy of each: `at` replays from the nearest
 * one that is kept.
 */
export class History {
  static #EVERY = 100;
  /** @type {StatusEvent[]} */
  #events = [];
  /** @type {RunState[]} */
  #kept = [];
  /** @type {RunState | null} */
  #last = null;

  get length() {
    return this.#events.length;
  }

  get last() {
    return this.#last;
  }

  get events() {
    return /** @type {readonly StatusEvent[]} */ (this.#events);
  }

  /** @param {StatusEvent} event */
  push(event) {
    const next = apply(this.#last, event);
    if (next === this.#last) return;
    this.#events.push(event);
    this.#last = next;
    if (this.#events.length % History.#EVERY === 0) this.#kept.push(next);
  }

  /**
   * @param {number} count
   * @returns {RunState | null} The state after so many events.
   */
  at(count) {
    if (count >= this.#events.length) return this.#last;
    const kept = Math.floor(count / History.#EVERY);
    let state = kept ? this.#kept[kept - 1] : null;
    for (let at = kept * History.#EVERY; at < count; at += 1) state = apply(state, this.#events[at]);
    return state;
  }
}
