/** A list of which the newest part is read again and again. */

/**
 * Put the newest part in the place of what was known of it.
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
