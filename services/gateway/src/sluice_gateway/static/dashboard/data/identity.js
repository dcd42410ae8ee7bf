/** Who looks at the page, and what they may do. */
import { signal } from '../ui/html.js';
import { get, request, session } from './api.js';

/**
 * @typedef {{principal: string, kind: string, scopes: string[]}} Identity
 * @typedef {{state: 'unknown' | 'known' | 'nobody' | 'nothing' | 'failed', identity: Identity | null, signIn: string | null, problem?: any}} Who
 *   `nobody` has not signed in; `nothing` may do nothing here.
 */

export const who = signal(/** @type {Who} */ ({ state: 'unknown', identity: null, signIn: null }));

export async function identify() {
  let signIn = null;
  try {
    signIn = (await (await request('/', { headers: { Accept: 'application/json' } })).json()).links.sign_in;
    who.value = { state: 'known', identity: await get('/v1/identity'), signIn };
  } catch (problem) {
    const { status } = /** @type {import('./api.js').Problem} */ (problem);
    const state = status === 401 ? 'nobody' : status === 403 ? 'nothing' : 'failed';
    who.value = { state, identity: null, signIn, problem };
  }
}

session.addEventListener('unauthenticated', () => {
  if (who.value.state === 'known') who.value = { ...who.value, state: 'nobody', identity: null };
});

/** @param {string} scope */
export function may(scope) {
  return who.value.identity?.scopes.includes(scope) ?? false;
}

export async function signOut() {
  await request('/sign-out', { method: 'POST' });
  await identify();
}
