/** Text for people: times, counts, and the same as commands for a terminal. */

/** @type {[string, number][]} */
const UNITS = [['d', 86_400], ['h', 3600], ['min', 60], ['s', 1]];

/**
 * @param {number} milliseconds
 * @returns {string} At most two UNITS: `41 s`, `3 min 5 s`, `2 h 7 min`, `4 d 3 h`.
 */
export function duration(milliseconds) {
  if (milliseconds < 1000) return '< 1 s'; // Kubernetes has whole seconds.
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  const [[large, size], [small, part]] = [UNITS[at], UNITS[at + 1]];
  const rest = Math.floor((seconds % size) / part);
  return `${Math.floor(seconds / size)} ${large}${rest ? ` ${rest} ${small}` : ''}`;
}

/**
 * @param {number} at Milliseconds since the Unix epoch.
 * @param {number} now
 */
export function ago(at, now) {
  const since = now - at;
  if (since < 5000) return 'now';
  if (since < 60_000) return `${Math.floor(since / 1000)} s ago`;
  return `${duration(since).split(' ').slice(0, 2).join(' ')} ago`;
}

/** @param {string | null | undefined} text @returns {number | null} */
export function millis(text) {
  const at = text ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** @param {number} count */
export function compact(count) {
  return new Intl.NumberFormat('en', { notation: count >= 10_000 ? 'compact' : 'standard' }).format(count);
}

const SIGNS = new Map([
  ['Succeeded', '✓'], ['Running', '▶'], ['Suspended', '‖'], ['Failed', '✕'], ['Error', '!'], ['Pending', '·'],
  ['Skipped', '–'], ['Omitted', '–'],
]);

/** @param {Map<string, number>} counts @returns {string} As in `180 ✓  15 ▶  5 ·`. */
export function countsText(counts) {
  return [...SIGNS].filter(([phase]) => counts.has(phase)).map(([phase, sign]) => `${counts.get(phase)} ${sign}`).join('  ');
}

/** @param {string} text In a POSIX shell, as one word. */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** @param {string} origin @param {Record<string, unknown>} request */
export function curlLine(origin, request) {
  return `curl ${origin}/v1/runs -H 'content-type: application/json' -d ${quoted(JSON.stringify(request))}`;
}

/** @param {Record<string, unknown>} request */
export function kcatLine(request) {
  return `echo ${quoted(JSON.stringify(request))} | kcat -P -b localhost:9092 -t sluice.requests`;
}
