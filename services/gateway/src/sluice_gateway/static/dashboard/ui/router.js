/** The address of the page, and links that change it without loading anything. */
import { computed, html, signal } from './html.js';

const here = () => ({ path: location.pathname, search: location.search });

export const address = signal(here());
export const path = computed(() => address.value.path);

/** @param {string} to @param {{replace?: boolean}} [how] */
export function go(to, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  address.value = here();
  if (!replace) document.getElementById('content')?.focus({ preventScroll: true });
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
