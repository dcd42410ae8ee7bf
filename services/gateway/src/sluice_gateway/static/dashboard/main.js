/** The dashboard: which page is shown at which address. */
import { html, render } from './ui/html.js';
import { address } from './ui/router.js';
import { Dialog } from './ui/dialog.js';
import { Keys } from './ui/keys.js';
import { Empty } from './ui/states.js';
import { Toasts } from './ui/toasts.js';
import { ApprovalsPage } from './views/approvals-page.js';
import { LimitsPage } from './views/limits-page.js';
import { Shell } from './views/shell.js';
import { StartPage } from './views/start-page.js';
import { RunPage } from './views/run-page.js';
import { RunsPage } from './views/runs-page.js';
import { runOf } from './views/addresses.js';

const PAGES = new Map([
  ['/', RunsPage],
  ['/runs', RunsPage],
  ['/start', StartPage],
  ['/approvals', ApprovalsPage],
  ['/limits', LimitsPage],
]);

function Page() {
  const run = runOf(address.value);
  if (run) return html`<${RunPage} run=${run} />`;
  const Found = PAGES.get(address.value.path);
  return Found ? html`<${Found} />` : html`<div class="page"><${Empty} title="There is no such page" /></div>`;
}

render(html`<${Shell}><${Page} /></${Shell}><${Dialog} /><${Keys} /><${Toasts} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
