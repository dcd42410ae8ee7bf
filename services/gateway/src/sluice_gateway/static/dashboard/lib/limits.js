/**
 * What the page of limits shows of `GET /v1/limits`.
 *
 * @typedef {{live: number, waiting: number, limit: number | null}} Load
 * @typedef {{kind: string, name: string, state: string, reason: string | null, by: string | null, at: string | null}} Control
 */

/** How much of a limit is used, from 0 to 1. @param {number} live @param {number} limit */
export const used = (live, limit) => (live < limit ? live / limit : 1);

/**
 * Tenants with runs, and those that are paused, by name.
 *
 * @param {readonly (Load & {name: string, weight: number | null})[]} tenants
 * @param {readonly Control[] | null} controls
 */
export function tenantRows(tenants, controls) {
  const rows = new Map(tenants.map((each) => [each.name, each]));
  for (const { kind, name } of controls ?? []) {
    if (kind === 'tenant' && !rows.has(name)) rows.set(name, { name, live: 0, waiting: 0, limit: null, weight: null });
  }
  return [...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const WHEN_FULL = { queue: 'others wait', reject: 'others are rejected', replace: 'a new one replaces the oldest' };

/** @param {{key: string, limit: number, when_full: keyof typeof WHEN_FULL}} concurrency */
export function keyText({ key, limit, when_full }) {
  return `at most ${limit} live for each ${key.split('/').at(-1)}; ${WHEN_FULL[when_full]}`;
}
