/**
 * Runs in the order of lists: newest first, then by tenant and id backwards.
 *
 * @typedef {{
 *   id: string, tenant: string, workflow: string | null, phase: string, terminal: boolean,
 *   attempt: number, progress: string | null, labels: Record<string, string>, at: number,
 *   started_at: string | null, finished_at: string | null,
 * }} Row `at` is when it was accepted, in milliseconds since the Unix epoch.
 */

/** @param {{tenant: string, id: string}} run */
export const keyOf = (run) => `${run.tenant}/${run.id}`;

/** @param {Row} a @param {Row} b */
function compare(a, b) {
  if (a.at !== b.at) return b.at - a.at;
  const [x, y] = [keyOf(a), keyOf(b)];
  return x < y ? 1 : x > y ? -1 : 0;
}

const MOST = 100_000;

export class OrderedRuns {
  /** @type {Row[]} */
  rows = [];
  /** @type {Map<string, Row>} */
  #known = new Map();
  #shows;

  /** @param {(run: Row) => boolean} shows Which of the runs are among `rows`. */
  constructor(shows) {
    this.#shows = shows;
  }

  /** @param {string} key */
  get(key) {
    return this.#known.get(key);
  }

  get size() {
    return this.#known.size;
  }

  clear() {
    this.#known.clear();
    this.rows = [];
  }

  /** Add the run, or put it in the place of what was known of it; its place in the order stays. @param {Row} run */
  put(run) {
    const key = keyOf(run);
    const before = this.#known.get(key);
    const next = before ? { ...run, at: before.at } : run;
    this.#known.set(key, next);
    const at = this.#search(next);
    const isListed = before !== undefined && this.rows[at] === before;
    if (this.#shows(next)) this.rows.splice(at, isListed ? 1 : 0, next);
    else {
      if (isListed) this.rows.splice(at, 1);
      // A run that was never listed would be kept for nothing.
      else if (!before) this.#known.delete(key);
    }
    if (this.rows.length > MOST) this.#drop();
  }

  /** Drop the oldest run. */
  #drop() {
    const oldest = this.rows.pop();
    if (oldest) this.#known.delete(keyOf(oldest));
  }

  /** Add those that are not known yet. @param {readonly Row[]} runs */
  add(runs) {
    for (const run of runs) if (!this.#known.has(keyOf(run))) this.put(run);
  }

  /** The place of the run, or the one before which it belongs. @param {Row} run */
  #search(run) {
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.rows[middle], run) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Of a list whose newest part is read again and again: put that part in the place of what was known of it.
 *
 * @template {{id: string, rejected_at: string}} T
 * @param {readonly T[]} known Newest first.
 * @param {readonly T[]} newest
 * @returns {{known: T[], isWhole: boolean}} `isWhole`: nothing can be missing between the newest part
 *   and what is known behind it. Otherwise what is known is the newest part alone.
 */
export function joined(known, newest) {
  const ids = new Set(newest.map(({ id }) => id));
  const overlap = known.findIndex(({ id }) => ids.has(id));
  if (overlap < 0) return { known: [...newest], isWhole: false };
  const last = newest[newest.length - 1];
  const behind = known.findIndex(({ id }) => id === last.id);
  // What is not in the newest part, and not behind it, was decided.
  const older = behind >= 0 ? known.slice(behind + 1) : known.filter((each) => !ids.has(each.id) && each.rejected_at < last.rejected_at);
  return { known: [...newest, ...older], isWhole: true };
}
