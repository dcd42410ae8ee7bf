/** One run: its graph, its steps, what it was given and what it gave. */
import { html, now, typed, useEffect, useMemo, useState, useTitle } from '../ui/html.js';
import { Link, runAddress } from '../ui/router.js';
import { Awaited, Connection, PhaseText } from '../ui/states.js';
import { ago, duration, millis } from '../lib/format.js';
import { filled, graphOf } from '../lib/graph.js';
import { RunWatch } from '../data/run-watch.js';
import { Answer } from './approvals-page.js';
import { Commands } from './commands.js';
import { GraphView } from './graph-view.js';
import { StepPanel, StepTree, TimeStrip } from './steps.js';
import { Values } from '../ui/code.js';

/** @param {{run: {id: string, tenant: string}}} props */
export function RunPage({ run }) {
  const { id, tenant } = run;
  const watch = useMemo(() => new RunWatch({ id, tenant }), [id, tenant]);
  useEffect(() => {
    watch.open();
    return () => watch.close();
  }, [watch]);
  const phase = watch.run.value?.phase;
  useTitle(phase ? `${phase}: ${id}` : id);
  if (!watch.run.value) return html`<${Awaited} problem=${watch.problem.value} what="Reading the run …" />`;
  return html`<${Run} key=${`${tenant}/${id}`} watch=${watch} />`;
}

const TABS = ['Graph', 'Steps', 'Time'];

function Run({ watch }) {
  const run = watch.run.value;
  watch.version.value; // The history is one object: the version says that it has changed.
  const [replay, setReplay] = useState(/** @type {number | null} */ (null));
  const [tab, setTab] = useState('Graph');
  const [selected, setSelected] = useState(/** @type {string | null} */ (null));
  const state = replay === null ? watch.history.last : watch.history.at(replay);
  const shape = useMemo(
    () => graphOf(watch.plan.value, state?.steps.values() ?? [], state?.groups.values() ?? []),
    [watch.plan.value, state?.shape],
  );
  const graph = useMemo(() => filled(shape, state?.steps.values() ?? []), [shape, state]);
  const node = selected === null ? null : graph.nodes.get(selected);
  // What was not over at a state had lasted until then.
  const shown = replay === null ? run : { ...run, ...state?.event, finished_at: state?.event.finished_at ?? state?.event.observed_at };
  return html`<div class="page run">
    ${watch.problem.value && html`<div class="notice bad" role="alert"><p>${watch.problem.value.message}</p></div>`}
    <div class="heading">
      <nav class="crumbs" aria-label="Way back"><${Link} to="/runs">Runs</${Link}></nav>
      <h1 class="id">${run.id}</h1>
      <${PhaseText} phase=${shown.phase} />
      ${run.attempt > 1 && html`<span class="label">attempt ${run.attempt}</span>`}
      <${Connection} connection=${watch.connection.value} />
      <${Commands} run=${run} onDone=${() => watch.expectMore()} />
    </div>
    <${Facts} run=${shown} />
    <${Waiting} run=${shown} />
    ${shown.problem && html`<div class="notice bad" role="alert"><h2>${shown.problem.title}</h2><p>${shown.problem.detail}</p></div>`}
    ${!shown.problem && shown.message && html`<div class="notice"><p>${shown.message}</p></div>`}
    <div class="run-body">
      <section class="panel main" aria-label="What the run does">
        <div class="tabs" role="tablist">${TABS.map((name) => html`<button key=${name} type="button" role="tab"
          aria-selected=${tab === name} onClick=${() => setTab(name)}>${name}</button>`)}</div>
        <div role="tabpanel" class="tab-body">
          ${tab === 'Graph' && html`<${GraphView} graph=${graph} selected=${selected} onSelect=${setSelected} />`}
          ${tab === 'Steps' && html`<${StepTree} graph=${graph} selected=${selected} onSelect=${setSelected} />`}
          ${tab === 'Time' && html`<${TimeStrip} run=${shown} usual=${watch.usual.value} graph=${graph} onSelect=${setSelected} />`}
        </div>
        <${Replay} history=${watch.history} at=${replay} onChange=${setReplay} />
      </section>
      <aside class="panel side" aria-label="Details">
        ${node ? html`<${StepPanel} node=${node} run=${run} onRetry=${() => watch.expectMore()} onClose=${() => setSelected(null)} />` : html`<${RunPanel} run=${shown} asks=${replay === null} />`}
      </aside>
    </div>
  </div>`;
}

function Facts({ run }) {
  const accepted = millis(run.accepted_at);
  const started = millis(run.started_at);
  const finished = millis(run.finished_at);
  const facts = [
    ['Workflow', run.workflow ?? '–'],
    run.tenant !== 'default' && ['Tenant', run.tenant],
    accepted && ['Accepted', html`<time title=${new Date(accepted).toLocaleString()}>${ago(accepted, now.value)}</time>`],
    accepted && started && ['Waited', duration(Math.max(0, started - accepted))],
    started && ['Ran', duration((finished ?? Math.max(now.value, started)) - started)],
    run.progress && ['Progress', run.progress],
    run.priority !== 'normal' && ['Priority', run.priority],
    run.requested_by && ['By', run.requested_by],
    run.parent && ['Repeats', html`<${Link} to=${runAddress({ ...run, id: run.parent })}>${run.parent}</${Link}>`],
  ].filter(Boolean);
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
    ${Object.entries(run.labels ?? {}).map(([name, value]) => html`<div key=${`label ${name}`}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Waiting({ run }) {
  const { queue } = run;
  if (!queue || run.terminal) return null;
  const eta = millis(queue.eta);
  return html`<div class="notice waiting" role="status"><h2>${queue.position ? `Waits at place ${queue.position}` : 'Waits to start'}</h2>
    <p>${queue.detail ?? (queue.held_by ? `Held by: ${queue.held_by}.` : 'Nothing holds it up.')}${eta ? ` It starts in about ${duration(Math.max(0, eta - now.value))}.` : ''}</p></div>`;
}

function RunPanel({ run, asks }) {
  const waiting = asks && !run.terminal ? (run.waiting_for ?? []) : [];
  return html`${waiting.map((step) => html`<${Answer} key=${step.step} run=${run} step=${step} onDone=${() => {}} isAlone />`)}
    <h2>Run</h2>
    <${Values} title="Parameters" values=${run.parameters} none="Private, or no longer known." />
    <${Values} title="Outputs" values=${run.outputs} none=${run.terminal ? 'None.' : 'None yet.'} />
    <dl class="small"><dt>Workflow in Kubernetes</dt><dd>${run.namespace ? `${run.namespace}/` : ''}${run.workflow_name}</dd></dl>`;
}

/** @param {{history: import('../lib/run-state.js').History, at: number | null, onChange: (at: number | null) => void}} props */
function Replay({ history, at, onChange }) {
  if (history.length < 2) return null;
  const count = at ?? history.length;
  const event = history.events[count - 1];
  const set = (/** @type {Event} */ input) => {
    const value = Number(typed(input));
    onChange(value === history.length ? null : value);
  };
  return html`<div class="replay"><label for="replay">State ${count} of ${history.length}</label>
    <input id="replay" type="range" min="1" max=${history.length} value=${count} onInput=${set} />
    <output>${event ? `${event.phase}, ${new Date(event.observed_at).toLocaleTimeString()}` : ''}</output>
    <button type="button" disabled=${at === null} onClick=${() => onChange(null)}>Latest</button></div>`;
}
