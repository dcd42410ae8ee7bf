/** What is shown to who has not signed in. */
import { html } from '../ui/html.js';
import { address } from '../ui/router.js';
import { Empty } from '../ui/states.js';
import { Logo } from './shell.js';

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
