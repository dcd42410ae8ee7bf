/** Times and counts for people. */

/** @type {[string, number][]} */
const UNITS = [['d', 86_400], ['h', 3600], ['min', 60], ['s', 1]];

/**
 * @param {number} milliseconds
 * @returns {string} At most two UNITS: `41 s`, `3 min 5 s`, `2 h 7 min`, `4 d 3 h`.
 */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))} ms`;
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
