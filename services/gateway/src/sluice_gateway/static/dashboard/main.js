/** The dashboard: which page is shown at which address. */
import { html, render } from './ui/html.js';
import { address, runOf } from './ui/router.js';
import { Dialog, Toasts } from './ui/messages.js';
import { Keys, Shell, SignInPage } from './views/shell.js';
import { Awaited, Empty } from './ui/states.js';
import { identify, who } from './data/identity.js';
import { ApprovalsPage } from './views/approvals-page.js';
import { DeadLettersPage } from './views/dead-letters-page.js';
import { LimitsPage } from './views/limits-page.js';
import { StartPage } from './views/start-page.js';
import { RunPage } from './views/run-page.js';
import { RunsPage } from './views/runs-page.js';

const PAGES = new Map([
  ['/', RunsPage],
  ['/runs', RunsPage],
  ['/start', StartPage],
  ['/approvals', ApprovalsPage],
  ['/dead-letters', DeadLettersPage],
  ['/limits', LimitsPage],
]);

function Page() {
  const { state, problem } = who.value;
  if (state === 'unknown' || state === 'failed') return html`<${Awaited} problem=${problem} retry=${identify} what="Connecting …" />`;
  if (state !== 'known') return html`<${SignInPage} who=${who.value} />`;
  const run = runOf(address.value);
  if (run) return html`<${RunPage} run=${run} />`;
  const Found = PAGES.get(address.value.path);
  return Found ? html`<${Found} />` : html`<div class="page"><${Empty} title="There is no such page" /></div>`;
}

render(html`<${Shell}><${Page} /></${Shell}><${Dialog} /><${Keys} /><${Toasts} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
identify();
