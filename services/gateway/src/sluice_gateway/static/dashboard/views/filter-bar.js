/** The filters of the list of runs, above it. */
import { html, signal, typed, useEffect, useState } from '../ui/html.js';
import { go } from '../ui/router.js';
import { get } from '../data/api.js';
import { saveView, savedViews, write } from '../lib/filters.js';

const SPANS = [['', 'Any time'], ['15m', 'Last 15 minutes'], ['1h', 'Last hour'], ['24h', 'Last 24 hours'], ['7d', 'Last 7 days']];

const workflows = signal(/** @type {string[]} */ ([]));

async function readWorkflows() {
  try {
    workflows.value = (await get('/v1/workflows')).workflows.map((each) => each.name);
  } catch {
    // The text field takes a name all the same.
  }
}

/** @param {{filters: import('../lib/filters.js').Filters, onChange: (filters: any) => void}} props */
export function Filters({ filters, onChange }) {
  useEffect(() => { readWorkflows(); }, []);
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const text = (/** @type {string} */ name) => String(form.get(name) ?? '').trim();
    onChange({
      ...filters,
      q: text('q'),
      workflow: text('workflow'),
      tenant: text('tenant'),
      since: text('since'),
      label: text('label').split(/[\s,]+/).filter(Boolean),
    });
  };
  const changed = (/** @type {Event} */ event) => /** @type {HTMLSelectElement} */ (event.target).form?.requestSubmit();
  return html`<form class="filters" role="search" aria-label="Runs" onSubmit=${submit}>
    <label class="wide"><span class="unseen">Text in the id</span><input name="q" type="search" placeholder="Search ids  ( / )" value=${filters.q} onChange=${changed} /></label>
    <label><span class="unseen">Workflow</span><select name="workflow" onChange=${changed}>
      <option value="" selected=${filters.workflow === ''}>Any workflow</option>
      ${[...new Set([...workflows.value, ...(filters.workflow ? [filters.workflow] : [])])].map((name) => html`<option key=${name} value=${name} selected=${filters.workflow === name}>${name}</option>`)}
    </select></label>
    <label><span class="unseen">Labels</span><input name="label" placeholder="label=value" value=${filters.label.join(' ')} onChange=${changed} /></label>
    <label><span class="unseen">Tenant</span><input name="tenant" placeholder="Tenant" value=${filters.tenant} onChange=${changed} /></label>
    <label><span class="unseen">Accepted</span><select name="since" onChange=${changed}>
      ${SPANS.map(([value, name]) => html`<option key=${value} value=${value} selected=${filters.since === value}>${name}</option>`)}
    </select></label>
    <${Views} query=${write(filters)} />
    <button class="unseen" type="submit">Search</button>
  </form>`;
}

/** @param {{query: string}} props */
function Views({ query }) {
  const [views, setViews] = useState(() => savedViews(localStorage));
  const current = Object.entries(views).find(([, each]) => each === query)?.[0];
  const choose = (/** @type {Event} */ event) => {
    event.stopPropagation();
    const value = typed(event);
    if (value === '+') {
      const name = prompt('The name of this view')?.trim();
      if (name) setViews(saveView(localStorage, name, query));
    } else if (value === '-' && current) setViews(saveView(localStorage, current, null));
    else if (value.startsWith('=')) go(`/runs?${views[value.slice(1)]}`);
  };
  return html`<label><span class="unseen">Saved views</span><select onChange=${choose}>
    <option value="" selected=${!current}>Views</option>
    ${Object.keys(views).sort().map((name) => html`<option key=${name} value=${`=${name}`} selected=${name === current}>${name}</option>`)}
    ${query && !current && html`<option value="+">Save this view …</option>`}
    ${current && html`<option value="-">Forget “${current}”</option>`}
  </select></label>`;
}
