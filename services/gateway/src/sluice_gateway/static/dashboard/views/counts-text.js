/** Copies of a step in a few characters: `180 ✓ 15 ▶ 5 ·`. */
const SIGNS = new Map([
  ['Succeeded', '✓'], ['Running', '▶'], ['Suspended', '‖'], ['Failed', '✕'], ['Error', '!'], ['Pending', '·'],
  ['Skipped', '–'], ['Omitted', '–'],
]);

/** @param {Map<string, number>} counts */
export function countsText(counts) {
  return [...SIGNS].filter(([phase]) => counts.has(phase)).map(([phase, sign]) => `${counts.get(phase)} ${sign}`).join('  ');
}
