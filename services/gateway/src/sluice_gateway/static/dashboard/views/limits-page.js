/** What is live and what waits, against what may be live, and what is paused. */
import { html, now, typed, useReading, useState, useTitle } from '../ui/html.js';
import { Link } from '../ui/router.js';
import { ask, complain, say } from '../ui/messages.js';
import { Awaited, Bar, PhaseSign } from '../ui/states.js';
import { get, post } from '../data/api.js';
import { may } from '../data/identity.js';
import { ago, compact, millis } from '../lib/format.js';
import { keyText, tenantRows, used } from '../lib/limits.js';

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
      const [limits, { controls }] = await Promise.all([get('/v1/limits'), get('/v1/controls').catch(() => ({ controls: null }))]);
      setFound({ ...limits, controls });
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
  const orders = found.controls && may('admin') ? act : null;
  const line = (/** @type {string} */ kind) => (/** @type {any} */ load) => html`<${Line} key=${load.name} kind=${kind} load=${load}
    control=${found.controls?.find((each) => each.kind === kind && each.name === load.name)} act=${orders} />`;
  const tenants = tenantRows(found.tenants, found.controls);
  return html`<div class="page limits"><div class="heading"><h1>Limits</h1></div>
    ${found.controls === null && html`<div class="notice"><p>Pausing is not configured here: the gateway has no topic of controls.</p></div>`}
    <section class="panel"><table><caption class="unseen">Workflows</caption><${Head} kind="Workflow" />
      <tbody>${found.workflows.map(line('workflow'))}
        <tr><th scope="row">All runs</th><${Load} load=${found.total} /><td colspan="2"></td></tr></tbody></table></section>
    <section class="panel"><div class="side-head tenants"><h2>Tenants</h2>
      ${orders && html`<form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); if (tenant) act('tenant', tenant, 'pause'); }}>
        <label><span class="unseen">Tenant</span><input placeholder="Tenant" value=${tenant} onInput=${(event) => setTenant(typed(event).trim())} /></label>
        <button type="submit" disabled=${!tenant}>Pause</button></form>`}</div>
      ${tenants.length === 0 ? html`<p class="faint none">No tenant has a run that is live or waits, and none is paused.</p>` : html`<table><${Head} kind="Tenant" />
      <tbody>${tenants.map(line('tenant'))}</tbody></table>`}
      ${found.more_tenants > 0 && html`<p class="faint none">${found.more_tenants} more tenants have fewer runs.</p>`}</section></div>`;
}

function Head({ kind }) {
  return html`<thead><tr><th>${kind}</th><th>Live</th><th>Waiting</th><th>State</th><th><span class="unseen">Actions</span></th></tr></thead>`;
}

function Line({ kind, load, control, act }) {
  const { name, weight, concurrency } = load;
  const order = (/** @type {string} */ action) => html`<button type="button" onClick=${() => act(kind, name, action)}>${ACTIONS[action][0]}</button> `;
  return html`<tr><td><${Link} to=${`/runs?${kind}=${encodeURIComponent(name)}`}>${name}</${Link}>
      ${weight != null && html`<span class="faint"> weight ${weight}</span>`}${concurrency && html`<div class="faint">${keyText(concurrency)}</div>`}</td>
    <${Load} load=${load} /><td><${Control} control=${control ?? (load.paused && { state: 'paused', reason: load.paused })} /></td>
    <td class="right">${act && (control ? ['resume'] : ['pause', 'drain']).map(order)}</td></tr>`;
}

function Load({ load: { live, waiting, limit } }) {
  const text = limit === null ? compact(live) : `${compact(live)} / ${compact(limit)}`;
  return html`<td>${limit === null ? text : html`<${Bar} share=${used(live, limit)} phase=${live < limit ? 'Running' : 'Pending'} text=${text} />`}</td>
    <td>${compact(waiting)}</td>`;
}

function Control({ control }) {
  if (!control) return html`<span class="phase"><${PhaseSign} phase="Running" size=${14} />open</span>`;
  const since = millis(control.at);
  return html`<span class="phase"><${PhaseSign} phase="Suspended" size=${14} />${control.state}</span>
    <span class="faint"> ${[control.reason, control.by, since && ago(since, now.value)].filter(Boolean).join(' · ')}</span>`;
}
