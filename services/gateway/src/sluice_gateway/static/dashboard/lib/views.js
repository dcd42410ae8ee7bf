/** Named filters, kept by the browser. */

const KEY = 'sluice.views';

/** @param {Storage} storage @returns {Record<string, string>} Query strings by name. */
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
