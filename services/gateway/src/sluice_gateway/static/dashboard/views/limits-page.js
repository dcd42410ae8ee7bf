/** What runs and what waits, by workflow, and what is paused. */
import { html, now, typed, useReading, useState, useTitle } from '../ui/html.js';
import { Link } from '../ui/router.js';
import { ask, complain, say } from '../ui/messages.js';
import { Awaited, PhaseSign } from '../ui/states.js';
import { get, post } from '../data/api.js';
import { may } from '../data/identity.js';
import { ago, compact, millis } from '../lib/format.js';

const LIVE = ['Submitted', 'Pending', 'Running', 'Suspended'];
const ACTIONS = {
  pause: ['Pause', 'Nothing new starts until it is resumed; live runs go on, and requests wait.'],
  drain: ['Drain', 'Nothing new starts. It says that you wait for the live runs to end.'],
  resume: ['Resume', 'What waits starts again.'],
};

export function LimitsPage() {
  const [found, setFound] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [tenant, setTenant] = useState('');
  const read = async () => {
    try {
      const [{ workflows }, controls, all] = await Promise.all([
        get('/v1/workflows'), get('/v1/controls').catch(() => ({ controls: null })), get('/v1/runs:counts'),
      ]);
      const counts = await Promise.all(workflows.map(({ name }) => get(`/v1/runs:counts?workflow=${encodeURIComponent(name)}`)));
      setFound({ workflows: workflows.map(({ name }, at) => ({ name, counts: counts[at].counts })), controls: controls.controls, all: all.counts });
      setProblem(null);
    } catch (error) {
      setProblem(error);
    }
  };
  useTitle('Limits');
  useReading(read);
  if (!found) return html`<${Awaited} problem=${problem} retry=${read} what="Reading the limits …" />`;
  const act = async (kind, name, action) => {
    const [label, text] = ACTIONS[action];
    const answer = await ask({ title: `${label} the ${kind} ${name}?`, text, action: label, bad: action !== 'resume', reason: true });
    if (!answer) return;
    try {
      await post(`/v1/${kind}s/${encodeURIComponent(name)}/${action}`, answer);
      say(`${label}: the order is on its way.`);
      await read();
    } catch (error) {
      complain(error);
    }
  };
  const controlOf = (kind, name) => found.controls?.find((each) => each.kind === kind && each.name === name);
  const tenants = found.controls?.filter((each) => each.kind === 'tenant') ?? [];
  return html`<div class="page limits"><div class="heading"><h1>Limits</h1></div>
    ${found.controls === null && html`<div class="notice"><p>Pausing is not configured here: the gateway has no topic of controls.</p></div>`}
    <section class="panel"><table><caption class="unseen">Workflows</caption>
      <thead><tr><th>Workflow</th><th>Live</th><th>Waiting</th><th>State</th><th><span class="unseen">Actions</span></th></tr></thead>
      <tbody>${found.workflows.map(({ name, counts }) => html`<${Line} key=${name} kind="workflow" name=${name} counts=${counts} control=${controlOf('workflow', name)} act=${found.controls && may('admin') && act} />`)}</tbody></table></section>
    <section class="panel"><div class="side-head tenants"><h2>Tenants</h2>
      ${found.controls && may('admin') && html`<form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); if (tenant) act('tenant', tenant, 'pause'); }}>
        <label><span class="unseen">Tenant</span><input placeholder="Tenant" value=${tenant} onInput=${(event) => setTenant(typed(event).trim())} /></label>
        <button type="submit" disabled=${!tenant}>Pause</button></form>`}</div>
      ${tenants.length === 0 ? html`<p class="faint none">No tenant is paused or drained.</p>` : html`<table><thead><tr><th>Tenant</th><th>State</th><th><span class="unseen">Actions</span></th></tr></thead>
      <tbody>${tenants.map((each) => html`<tr key=${each.name}><td>${each.name}</td><td><${Control} control=${each} /></td><td class="right">
        <button type="button" onClick=${() => act('tenant', each.name, 'resume')}>Resume</button></td></tr>`)}</tbody></table>`}</section></div>`;
}

function Line({ kind, name, counts, control, act }) {
  const live = LIVE.reduce((sum, phase) => sum + (counts[phase] ?? 0), 0);
  return html`<tr><td><${Link} to=${`/runs?workflow=${encodeURIComponent(name)}`}>${name}</${Link}></td>
    <td>${compact(live)}</td><td>${compact(counts.Accepted ?? 0)}</td><td><${Control} control=${control} /></td>
    <td class="right">${act && (control ? html`<button type="button" onClick=${() => act(kind, name, 'resume')}>Resume</button>`
      : html`<button type="button" onClick=${() => act(kind, name, 'pause')}>Pause</button> <button type="button" onClick=${() => act(kind, name, 'drain')}>Drain</button>`)}</td></tr>`;
}

function Control({ control }) {
  if (!control) return html`<span class="phase"><${PhaseSign} phase="Running" size=${14} />open</span>`;
  const since = millis(control.at);
  return html`<span class="phase"><${PhaseSign} phase="Suspended" size=${14} />${control.state}</span>
    <span class="faint"> ${[control.reason, control.by, since && ago(since, now.value)].filter(Boolean).join(' · ')}</span>`;
}
