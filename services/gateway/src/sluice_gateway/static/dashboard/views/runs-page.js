/** The list of runs. */
import { html, now, useEffect, useMemo, useTitle } from '../ui/html.js';
import { Link, address, go, runAddress } from '../ui/router.js';
import { Connection, Empty, Failure, Loading, PhaseSign, PhaseText } from '../ui/states.js';
import { VirtualList } from '../ui/virtual-list.js';
import { NONE, read, write } from '../lib/filters.js';
import { ago, compact, duration, millis } from '../lib/format.js';
import { keyOf } from '../lib/lists.js';
import { RunList } from '../data/run-list.js';
import { BulkCommands } from './commands.js';
import { Filters } from './filter-bar.js';

const ROW = 44;
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
  return html`<span class="bar"><svg class=${`phase-${phase}`} width="64" height="6" viewBox="0 0 64 6" aria-hidden="true">
    <rect class="all" width="64" height="6" rx="3" /><rect class="done" width=${64 * Math.min(1, done / all)} height="6" rx="3" /></svg>${text}</span>`;
}
