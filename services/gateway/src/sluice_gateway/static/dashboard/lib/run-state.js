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
 * @typedef {{event: StatusEvent, steps: Map<string, Step>, groups: Map<string, Group>, shape: number}} RunState `shape`
 *   grows when a step comes, goes, or leads elsewhere.
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
  return changed(state && copy(state), event);
}

/** @param {RunState} state @returns {RunState} */
function copy({ event, steps, groups, shape }) {
  return { event, steps: new Map(steps), groups: new Map(groups), shape };
}

/**
 * Return the state after one more event, with the maps of the state before: copying ten thousand
 * steps for each of ten thousand events would take seconds.
 *
 * @param {RunState | null} state
 * @param {StatusEvent} event
 * @returns {RunState}
 */
function changed(state, event) {
  const steps = state?.steps ?? new Map();
  const groups = state?.groups ?? new Map();
  let shape = state?.shape ?? 0;
  const retried = state !== null && event.attempt > state.event.attempt;
  /** @type {[Map<string, any>, (Step | Group)[] | undefined][]} */
  const parts = [[steps, event.steps], [groups, event.groups]];
  for (const [known, given] of parts) {
    // The first event of an attempt has all that the attempt has, and so has a terminal one: a
    // retry does not keep the steps that failed.
    if (retried || (event.terminal && given?.length)) {
      known.clear();
      shape += 1;
    }
    for (const each of given ?? []) {
      const before = known.get(each.id);
      if (!before || way(before) !== way(each)) shape += 1;
      known.set(each.id, each);
    }
  }
  return { event, steps, groups, shape };
}

/** Where a step stands, and where it leads. @param {Step | Group} step */
function way({ name, boundary, children }) {
  return [name, boundary, ...(children ?? [])].join('\n');
}

/** The last states that a run has had. Some are kept; `at` replays the events behind the nearest one. */
export class History {
  static #EVERY = 2000;
  static #MOST = 20_000;
  /** What was before all of them. @type {RunState | null} */
  #first = null;
  /** @type {StatusEvent[]} */
  #events = [];
  /** @type {RunState[]} */
  #kept = [];
  /** @type {RunState | null} */
  #last = null;

  get length() {
    return this.#events.length;
  }

  /** The latest state. Its maps change with the next event. */
  get last() {
    return this.#last;
  }

  get events() {
    return /** @type {readonly StatusEvent[]} */ (this.#events);
  }

  /** @param {StatusEvent} event */
  push(event) {
    if (this.#last && event.sequence <= this.#last.event.sequence) return;
    this.#events.push(event);
    this.#last = changed(this.#last, event);
    if (this.#events.length % History.#EVERY === 0) this.#kept.push(copy(this.#last));
    if (this.#events.length > History.#MOST) {
      this.#events.splice(0, History.#EVERY);
      this.#first = this.#kept.shift() ?? null;
    }
  }

  /**
   * @param {number} count
   * @returns {RunState | null} The state after so many events.
   */
  at(count) {
    if (count >= this.#events.length) return this.#last;
    const kept = Math.floor(count / History.#EVERY);
    const nearest = kept ? this.#kept[kept - 1] : this.#first;
    let state = nearest && copy(nearest);
    for (let at = kept * History.#EVERY; at < count; at += 1) state = changed(state, this.#events[at]);
    return state;
  }
}
