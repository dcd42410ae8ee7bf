/** Start a run: choose a workflow, fill in its parameters, and see what would happen. */
import { html, typed, useEffect, useMemo, useState, useTitle } from '../ui/html.js';
import { Link, address, go, runAddress } from '../ui/router.js';
import { CodeLines } from '../ui/code.js';
import { Fields } from '../ui/fields.js';
import { Awaited, Empty } from '../ui/states.js';
import { get, post } from '../data/api.js';
import { begin, fieldsOf, valuesOf } from '../lib/form.js';
import { graphOf } from '../lib/graph.js';
import { curlLine, kcatLine } from '../lib/format.js';
import { GraphView } from './graph-view.js';

export function StartPage() {
  const [workflows, setWorkflows] = useState(/** @type {any[] | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const load = () => get('/v1/workflows').then((found) => { setWorkflows(found.workflows); setProblem(null); }, setProblem);
  useEffect(() => { load(); }, []);
  useTitle('Start a run');
  const name = new URLSearchParams(address.value.search).get('workflow');
  if (!workflows) return html`<${Awaited} problem=${problem} retry=${load} what="Reading the workflows …" />`;
  if (!workflows.length) return html`<div class="page"><${Empty} title="There are no workflows"><p>The operator adds them to the catalogue.</p></${Empty}></div>`;
  const chosen = workflows.find((each) => each.name === name) ?? workflows[0];
  return html`<div class="page start">
    <div class="heading"><h1>Start a run</h1></div>
    <div class="start-body">
      <nav class="panel catalogue" aria-label="Workflows">${workflows.map((each) => html`<${Link} key=${each.name} to=${`/start?workflow=${encodeURIComponent(each.name)}`}
        current=${each.name === chosen.name}><b>${each.name}</b><span class="faint">${each.description}</span></${Link}>`)}</nav>
      <${StartForm} key=${chosen.name} workflow=${chosen} />
    </div></div>`;
}

function StartForm({ workflow }) {
  const fields = useMemo(() => fieldsOf(workflow.parameters), [workflow]);
  const [given, setGiven] = useState(() => begin(fields));
  const [more, setMore] = useState({ id: '', labels: '', priority: 'normal', tenant: '' });
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [preview, setPreview] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const { values, errors } = useMemo(() => valuesOf(fields, given), [fields, given]);
  const request = useMemo(() => requestOf(workflow.name, values, more), [workflow, values, more]);
  const plan = usePlan(workflow.name);
  useEffect(() => {
    setPreview(null);
    setProblem(null);
    if (errors.size) return undefined;
    // The gateway itself says whether it would take the request; nothing is written.
    const timer = setTimeout(() => {
      post('/v1/runs?validate_only=true', request).then(
        (found) => { setPreview(found); setProblem(null); },
        (found) => { setPreview(null); setProblem(found); },
      );
    }, 300);
    return () => clearTimeout(timer);
  }, [request]);
  const start = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      go(runAddress(await post('/v1/runs', { id: newId(), ...request })));
    } catch (found) {
      setProblem(found);
      setBusy(false);
    }
  };
  // What is empty is not wrong before somebody wants to send it.
  const shown = [...errors].filter(([name]) => given[name] !== '');
  const wrong = new Map([...shown, ...errorsOf(problem)]);
  const general = problem && !wrong.size ? problem : null;
  const set = (/** @type {string} */ name) => (/** @type {Event} */ event) => setMore({ ...more, [name]: typed(event) });
  return html`<form class="panel start-form" onSubmit=${start}>
      <h2>${workflow.name}</h2><p class="faint">${workflow.description}</p>
      <${Fields} fields=${fields} given=${given} errors=${wrong} onChange=${setGiven} prefix="parameter" />
      <details><summary>Id, labels, priority, tenant</summary>
        <div class="field"><label for="run-id">Id</label><input id="run-id" value=${more.id} onInput=${set('id')} placeholder="One is made" autocomplete="off" />
          <p class="faint">The same id with the same content is the same run.</p></div>
        <div class="field"><label for="run-labels">Labels</label><input id="run-labels" value=${more.labels} onInput=${set('labels')} placeholder="team=a env=prod" autocomplete="off" /></div>
        <div class="field"><label for="run-priority">Priority</label><select id="run-priority" onChange=${set('priority')}>
          ${['high', 'normal', 'low'].map((each) => html`<option key=${each} selected=${each === more.priority}>${each}</option>`)}</select></div>
        <div class="field"><label for="run-tenant">Tenant</label><input id="run-tenant" value=${more.tenant} onInput=${set('tenant')} placeholder="default" autocomplete="off" /></div>
      </details>
      ${general && html`<div class="notice bad" role="alert"><h3>${general.title}</h3><p>${general.message}</p></div>`}
      ${preview?.id_use === 'same-content' && html`<div class="notice"><p>This is the run that has this id already. <${Link} to=${runAddress(preview)}>Show it</${Link}>.</p></div>`}
      ${preview?.id_use === 'other-content' && html`<div class="notice bad" role="alert"><p>The id belongs to a run with other content.</p></div>`}
      <div class="actions"><button type="submit" class="primary" disabled=${busy || errors.size > 0 || problem !== null}>Start</button></div>
    </form>
    <div class="start-side">
      ${plan && html`<section class="panel plan" aria-label="What it will do"><${GraphView} graph=${plan} selected=${null} onSelect=${() => {}} /></section>`}
      <${CodeLines} lines=${[['curl', curlLine(location.origin, request)], ['Kafka', kcatLine(request)]]} />
    </div>`;
}

function usePlan(name) {
  const [plan, setPlan] = useState(/** @type {import('../lib/graph.js').Graph | null} */ (null));
  useEffect(() => {
    const abort = new AbortController();
    get(`/v1/workflows/${encodeURIComponent(name)}`, abort.signal).then(
      (entry) => setPlan(entry.graph ? graphOf(entry.graph.steps, [], []) : null),
      () => {},
    );
    return () => abort.abort();
  }, [name]);
  return plan;
}

function requestOf(workflow, parameters, { id, labels, priority, tenant }) {
  const pairs = labels.split(/[\s,]+/).filter((pair) => pair.includes('=')).map((pair) => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return {
    ...(id && { id }),
    workflow,
    parameters,
    ...(pairs.length && { labels: Object.fromEntries(pairs) }),
    ...(priority !== 'normal' && { priority }),
    ...(tenant && { tenant }),
  };
}

function errorsOf(problem) {
  return (problem?.errors ?? []).flatMap(({ pointer, detail }) => {
    const name = /^\/parameters\/([^/]+)/.exec(pointer)?.[1];
    return name ? [[name.replaceAll('~1', '/').replaceAll('~0', '~'), detail]] : [];
  });
}

/** An id that is made before it is sent, so that a second attempt is the same run. */
function newId() {
  const random = crypto.getRandomValues(new Uint8Array(10));
  const hex = (/** @type {number} */ value, /** @type {number} */ digits) => value.toString(16).padStart(digits, '0');
  return hex(Date.now(), 12) + [...random].map((byte) => hex(byte, 2)).join('');
}
