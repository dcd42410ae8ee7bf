/** The addresses of pages, and links that change the address without loading anything. */
import { computed, html, signal } from './html.js';

const here = () => ({ path: location.pathname, search: location.search });

export const address = signal(here());
export const path = computed(() => address.value.path);

/** @param {string} to */
export function go(to) {
  history.pushState(null, '', to);
  address.value = here();
  document.getElementById('content')?.focus({ preventScroll: true });
}

addEventListener('popstate', () => { address.value = here(); });

/** @param {{to: string, class?: string, current?: boolean, children?: unknown, [attribute: string]: unknown}} props */
export function Link({ to, current, children, ...attributes }) {
  const follow = (/** @type {MouseEvent} */ event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${to} onClick=${follow} aria-current=${current ? 'page' : undefined} ...${attributes}>${children}</a>`;
}

/** @param {{id: string, tenant: string}} run */
export function runAddress({ id, tenant }) {
  return `/runs/${encodeURIComponent(id)}${tenant === 'default' ? '' : `?tenant=${encodeURIComponent(tenant)}`}`;
}

/** @param {{path: string, search: string}} address @returns {{id: string, tenant: string} | null} */
export function runOf({ path, search }) {
  const match = /^\/runs\/([^/]+)$/.exec(path);
  if (!match) return null;
  try {
    return { id: decodeURIComponent(match[1]), tenant: new URLSearchParams(search).get('tenant') ?? 'default' };
  } catch {
    return null; // It was never encoded.
  }
}
