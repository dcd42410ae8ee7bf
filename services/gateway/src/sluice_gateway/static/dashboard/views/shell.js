/** What surrounds every page, its keys, and what is shown to people who have not signed in. */
import { html, signal, useEffect, useRef } from '../ui/html.js';
import { Link, address, go, path } from '../ui/router.js';
import { may, signOut, who } from '../data/identity.js';
import { Empty } from '../ui/states.js';

/** Addresses, names, and the scope without which a page has nothing to offer. */
const PAGES = [
  ['/runs', 'Runs', 'runs:read'],
  ['/start', 'Start', 'runs:start'],
  ['/approvals', 'Approvals', 'runs:command'],
  ['/dead-letters', 'Dead letters', 'dlq'],
  ['/limits', 'Limits', 'runs:read'],
];

const THEMES = ['system', 'light', 'dark'];
const theme = signal(localStorage.getItem('sluice.theme') ?? 'system');

function useTheme() {
  useEffect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem('sluice.theme', theme.value);
  }, [theme.value]);
}

function ThemeButton() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
  return html`<button class="quiet" type="button" onClick=${() => { theme.value = next; }}
    title=${`Theme: ${theme.value}. Change to ${next}.`}>
    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" /></svg>
    <span class="unseen">Theme: ${theme.value}</span></button>`;
}

function Who() {
  const { identity } = who.value;
  if (!identity || identity.kind === 'anonymous') return null;
  return html`<span class="faint who" title=${identity.principal}>${identity.principal}</span>
    ${identity.kind === 'user' && html`<button type="button" class="quiet" onClick=${signOut}>Sign out</button>`}`;
}

export function Logo() {
  return html`<svg class="logo" width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" /><path d="M7 12c3-3 6-3 9 0s6 3 9 0M7 20c3-3 6-3 9 0s6 3 9 0" /></svg>`;
}

/** @param {{children: unknown}} props */
export function Shell({ children }) {
  useTheme();
  return html`
    <a class="skip" href="#content">Skip to content</a>
    <header class="top">
      <${Link} to="/" class="name"><${Logo} />Sluice</${Link}>
      <nav aria-label="Pages">${PAGES.filter(([, , scope]) => may(scope)).map(([to, name]) => html`<${Link} key=${to} to=${to}
        current=${to === '/runs' ? path.value === '/' || path.value.startsWith('/runs') : path.value === to}>${name}</${Link}>`)}</nav>
      <div class="right"><${Who} /><a class="quiet" href="/docs">API</a><${ThemeButton} /></div>
    </header>
    <main id="content" tabindex="-1">${children}</main>`;
}

/** @param {{who: import('../data/identity.js').Who}} props */
export function SignInPage({ who }) {
  const { path, search } = address.value;
  if (who.state === 'nothing') {
    return html`<div class="page"><${Empty} title="You may do nothing here"><p>Nothing has been granted to you. Ask the operators of Sluice for it.</p></${Empty}></div>`;
  }
  return html`<div class="page"><${Empty} title="Sign in to see runs"><${Logo} />
    ${who.signIn ? html`<a class="button primary" href=${`${who.signIn}?return_to=${encodeURIComponent(path + search)}`}>Sign in</a>`
      : html`<p>This gateway lets no browser sign in. Its operator can configure an identity provider (<code>auth.sign_in</code>).</p>`}</${Empty}></div>`;
}

const KEYS = [['/', 'Search'], ['g r', 'Runs'], ['g s', 'Start a run'], ['g a', 'Approvals'], ['g d', 'Dead letters'], ['g l', 'Limits'], ['?', 'These keys'], ['Esc', 'Close what is open']];
const PLACES = { r: '/runs', s: '/start', a: '/approvals', d: '/dead-letters', l: '/limits' };
const shown = signal(false);

/** Does what keys ask for, and lists them. */
export function Keys() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    let before = '';
    const press = (/** @type {KeyboardEvent} */ event) => {
      const inField = /** @type {HTMLElement} */ (event.target).matches?.('input, textarea, select');
      if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
      const search = /** @type {HTMLElement | null} */ (document.querySelector('[type=search]'));
      if (event.key === '?') shown.value = true;
      else if (event.key === '/' && search) {
        event.preventDefault();
        search.focus();
      } else if (before === 'g' && PLACES[event.key]) go(PLACES[event.key]);
      before = event.key;
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
  useEffect(() => { if (shown.value) dialog.current?.showModal(); }, [shown.value]);
  if (!shown.value) return null;
  const close = () => { shown.value = false; };
  return html`<dialog ref=${dialog} aria-labelledby="keys" onClose=${close}><form method="dialog"><h2 id="keys">Keys</h2>
    <dl class="keys">${KEYS.map(([key, does]) => html`<dt key=${key}>${key.split(' ').map((each) => html`<kbd>${each}</kbd> `)}</dt><dd>${does}</dd>`)}</dl>
    <div class="actions"><button type="submit">Close</button></div></form></dialog>`;
}
