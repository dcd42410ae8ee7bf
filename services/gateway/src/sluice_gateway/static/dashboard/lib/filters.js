/**
 * The filters of a list of runs. The address of the page has them, so that it can be shared; they
 * have the names that the API gives them.
 *
 * @typedef {{
 *   workflow: string, phase: string[], label: string[], tenant: string, since: string,
 *   until: string, q: string,
 * }} Filters
 */

/** @type {Readonly<Filters>} */
export const NONE = Object.freeze({
  workflow: '', phase: [], label: [], tenant: '', since: '', until: '', q: '',
});

const SPANS = new Map([['15m', 15], ['1h', 60], ['24h', 1440], ['7d', 10_080]]);

/** @param {string} search Of an address, with or without its `?`. @returns {Filters} */
export function read(search) {
  const given = new URLSearchParams(search);
  const filters = { ...NONE };
  for (const name of Object.keys(NONE)) {
    filters[name] = Array.isArray(NONE[name]) ? given.getAll(name) : (given.get(name) ?? '');
  }
  return filters;
}

/** @param {Filters} filters @returns {string} A query string without `?`; the same for equal filters. */
export function write(filters) {
  const query = new URLSearchParams();
  for (const name of Object.keys(NONE)) {
    const values = [filters[name]].flat().filter((value) => value !== '');
    if (Array.isArray(NONE[name])) values.sort();
    for (const value of values) query.append(name, value);
  }
  return query.toString();
}

/**
 * @param {Filters} filters
 * @param {number} now Milliseconds since the Unix epoch.
 * @returns {URLSearchParams} The filters as the API takes them; `since` may be a span, as in `1h`.
 */
export function asQuery(filters, now) {
  const query = new URLSearchParams(write(filters));
  const minutes = SPANS.get(filters.since);
  // Whole minutes, so that tabs that were opened one after the other ask for the same.
  if (minutes) query.set('since', new Date((Math.floor(now / 60_000) - minutes) * 60_000).toISOString());
  return query;
}

/**
 * @param {Filters} filters
 * @param {{phase: string}} run
 * @returns {boolean} Whether the run belongs into the list by its phase; the stream sees to the rest.
 */
export function shows(filters, run) {
  return filters.phase.length === 0 || filters.phase.includes(run.phase);
}

const KEY = 'sluice.views';

/** @param {Storage} storage @returns {Record<string, string>} Query strings of the saved views, by name. */
export function savedViews(storage) {
  try {
    const found = JSON.parse(storage.getItem(KEY) ?? '{}');
    return typeof found === 'object' && found ? found : {};
  } catch {
    return {};
  }
}

/** @param {Storage} storage @param {string} name @param {string | null} query Null removes it. */
export function saveView(storage, name, query) {
  const views = savedViews(storage);
  if (query === null) delete views[name];
  else views[name] = query;
  storage.setItem(KEY, JSON.stringify(views));
  return views;
}
