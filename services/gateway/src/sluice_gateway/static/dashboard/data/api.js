/**
 * Calls of the gateway's API. An answer from 400 on is thrown as a `Problem`.
 *
 * @typedef {{type: string, title: string, status: number, detail: string,
 *   errors?: {pointer: string, detail: string}[]}} ProblemDocument
 */

export class Problem extends Error {
  /** @param {ProblemDocument} document @param {number | null} retryAfter In seconds. */
  constructor(document, retryAfter = null) {
    super(document.detail);
    this.type = document.type.replace('urn:sluice:problem:', '');
    this.title = document.title;
    this.status = document.status;
    this.errors = document.errors ?? [];
    this.retryAfter = retryAfter;
  }
}

/** Hears `unauthenticated` when the gateway no longer knows who looks. */
export const session = new EventTarget();

/** @param {Response} response */
async function problemOf(response) {
  const retryAfter = Number(response.headers.get('Retry-After')) || null;
  try {
    return new Problem(await response.json(), retryAfter);
  } catch {
    const { status, statusText } = response;
    return new Problem({ type: 'about:blank', title: statusText, status, detail: statusText }, retryAfter);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 * @throws {Problem} The gateway refused, or could not be reached (`type` is `offline`).
 */
export async function request(path, init = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: 'same-origin', cache: 'no-store', ...init });
  } catch (error) {
    if (/** @type {Error} */ (error).name === 'AbortError') throw error;
    throw new Problem({ type: 'offline', title: 'Offline', status: 0, detail: 'The gateway cannot be reached.' });
  }
  if (response.status === 401) session.dispatchEvent(new Event('unauthenticated'));
  if (!response.ok && response.status !== 304) throw await problemOf(response);
  return response;
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function get(path, signal) {
  return (await request(path, { signal })).json();
}

/** @param {string} path @param {unknown} body @returns {Promise<any>} */
export async function post(path, body = {}) {
  const headers = { 'Content-Type': 'application/json' };
  return (await request(path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
}

/** @param {string} id @param {string} tenant @param {string} [rest] As in `/events`. */
export function runPath(id, tenant, rest = '') {
  const query = tenant && tenant !== 'default' ? `?tenant=${encodeURIComponent(tenant)}` : '';
  return `/v1/runs/${encodeURIComponent(id)}${rest}${query}`;
}
