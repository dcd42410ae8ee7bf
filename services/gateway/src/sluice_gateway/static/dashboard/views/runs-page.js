/** The list of runs, and its filters. */
import { html, now, signal, typed, useEffect, useMemo, useState, useTitle } from '../ui/html.js';
import { Link, address, go, runAddress } from '../ui/router.js';
import { Bar, Connection, Empty, Failure, Loading, PhaseSign, PhaseText } from '../ui/states.js';
import { VirtualList } from '../ui/virtual-list.js';
import { get } from '../data/api.js';
import { NONE, read, saveView, savedViews, write } from '../lib/filters.js';
import { ago, compact, duration, millis } from '../lib/format.js';
import { keyOf } from '../lib/lists.js';
import { RunList } from '../data/run-list.js';
import { BulkCommands } from './commands.js';

const ROW = 44;
const SPANS = [['', 'Any time'], ['15m', 'Last 15 minutes'], ['1h', 'Last hour'], ['24h', 'Last 24 hours'], ['7d', 'Last 7 days']];
const PHASES = [
  'Accepted', 'Submitted', 'Pending', 'Running', 'Suspended', 'Succeeded', 'Failed', 'Error',
  'Rejected', 'Expired', 'Deleted',
];

export function RunsPage() {
  const { search } = address.value;
  const query = write(read(search));
  useTitle('Runs');
  const list = useMemo(() => new RunList(read(query)), [query]);
  useEffect(() => {
    list.open();
    return () => list.close();
  }, [list]);
  return html`<${Runs} list=${list} filters=${read(query)} />`;
}

/** @param {import('../lib/filters.js').Filters} filters */
function show(filters) {
  const query = write(filters);
  // A field that is left after Enter reports the same change twice.
  if (query !== write(read(address.value.search))) go(query ? `/runs?${query}` : '/runs');
}

function Runs({ list, filters }) {
  list.version.value; // Rows are one array: the version says that they changed.
  const { problem, loading, counts } = list;
  const isFiltered = write(filters) !== '';
  const empty = loading.value
    ? html`<${Loading} what="Reading the runs …" />`
    : problem.value
      ? html`<${Failure} problem=${problem.value} retry=${list.more} />`
      : isFiltered
        ? html`<${Empty} title="No run fulfils the filter"><button type="button" onClick=${() => show(NONE)}>Show all runs</button></${Empty}>`
        : html`<${Empty} title="No runs yet"><p><${Link} to="/start">Start one</${Link}>, and it appears here at once.</p></${Empty}>`;
  return html`<div class="page runs">
    <div class="heading"><h1>Runs</h1><${Connection} connection=${list.connection.value} /><${Pulse} values=${list.pulse.value} /></div>
    <div class="heading"><${Counts} counts=${counts.value} filters=${filters} /><${BulkCommands} filters=${filters} counts=${counts.value} total=${totalOf(counts.value, filters)} rows=${list.rows} /></div>
    <${Filters} filters=${filters} onChange=${show} />
    ${problem.value && list.rows.length > 0 && html`<div class="notice bad" role="alert"><p>${problem.value.message}</p></div>`}
    <${VirtualList} isTable rows=${list.rows} height=${ROW} label="Runs, newest first" keyOf=${keyOf}
      onNearEnd=${list.more} header=${html`<${Header} />`} empty=${empty}
      render=${(run) => html`<${Row} run=${run} />`} />
  </div>`;
}

/** How many runs fulfil the filter; counts are by phase, of all phases. */
function totalOf(counts, { phase }) {
  return Object.entries(counts ?? {}).reduce((sum, [name, each]) => sum + (phase.length === 0 || phase.includes(name) ? each : 0), 0);
}

function Counts({ counts, filters }) {
  const total = totalOf(counts, NONE);
  const toggle = (/** @type {string} */ phase) => {
    const has = filters.phase.includes(phase);
    show({ ...filters, phase: has ? filters.phase.filter((each) => each !== phase) : [...filters.phase, phase] });
  };
  const shown = PHASES.filter((phase) => counts?.[phase] || filters.phase.includes(phase));
  return html`<div class="counts" role="group" aria-label="Phases">
    <button type="button" aria-pressed=${filters.phase.length === 0} onClick=${() => show({ ...filters, phase: [] })}>
      <b>${counts ? compact(total) : '–'}</b>All</button>
    ${shown.map((phase) => html`<button key=${phase} type="button" aria-pressed=${filters.phase.includes(phase)}
      onClick=${() => toggle(phase)}><b>${compact(counts?.[phase] ?? 0)}</b><${PhaseSign} phase=${phase} size=${14} />${phase}</button>`)}
  </div>`;
}

function Pulse({ values }) {
  const most = Math.max(4, ...values);
  const points = values.map((value, at) => `${at * 2},${22 - (value / most) * 20}`).join(' ');
  const total = values.reduce((sum, each) => sum + each, 0);
  return html`<figure class="pulse"><svg width="120" height="24" viewBox="0 0 118 24" aria-hidden="true">
    <polyline points=${points} /></svg><figcaption>${compact(total)} events in the last minute</figcaption></figure>`;
}

function Header() {
  return html`<div class="row head" role="row">
    ${['Phase', 'Run', 'Workflow', 'Progress', 'Labels', 'Accepted', 'Duration'].map((name) => html`<span key=${name} role="columnheader" class=${`cell ${name.toLowerCase()}`}>${name}</span>`)}
  </div>`;
}

function Row({ run }) {
  const started = millis(run.started_at);
  const finished = millis(run.finished_at);
  const took = started === null ? '' : duration((finished ?? Math.max(now.value, started)) - started);
  return html`<div class="row" role="row">
    <span role="cell" class="cell phase"><${PhaseText} phase=${run.phase} /></span>
    <span role="cell" class="cell run"><${Link} to=${runAddress(run)} class="id">${run.id}</${Link}>${run.tenant !== 'default' && html`<span class="tenant">${run.tenant}</span>`}</span>
    <span role="cell" class="cell workflow">${run.workflow ?? '–'}</span>
    <span role="cell" class="cell progress"><${Progress} text=${run.progress} phase=${run.phase} /></span>
    <span role="cell" class="cell labels">${Object.entries(run.labels).map(([name, value]) => html`<span key=${name} class="label">${name}=${value}</span>`)}</span>
    <span role="cell" class="cell accepted"><time datetime=${new Date(run.at).toISOString()} title=${new Date(run.at).toLocaleString()}>${ago(run.at, now.value)}</time></span>
    <span role="cell" class="cell duration">${took}</span>
  </div>`;
}

export function Progress({ text, phase }) {
  const [done, all] = (text ?? '').split('/').map(Number);
  if (!all) return null;
  return html`<${Bar} share=${Math.min(1, done / all)} phase=${phase} text=${text} />`;
}

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
