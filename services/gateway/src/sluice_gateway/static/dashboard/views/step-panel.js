/** A node of the graph: its copies, what they were given and what they gave. */
import { html, now, useState } from '../ui/html.js';
import { PhaseText } from '../ui/states.js';
import { VirtualList } from '../ui/virtual-list.js';
import { duration, millis } from '../lib/format.js';
import { isWaiting } from '../lib/graph.js';
import { Values } from '../ui/code.js';
import { RetryFrom } from './commands.js';
import { StepLogs } from './step-logs.js';

/** @param {{node: import('../lib/graph.js').GraphNode, run: any, onClose: () => void, onRetry: () => void}} props */
export function StepPanel({ node, run, onClose, onRetry }) {
  const [chosen, choose] = useState(/** @type {string | null} */ (null));
  const step = node.steps.find((each) => each.id === chosen) ?? (node.steps.length === 1 ? node.steps[0] : null);
  return html`<div class="side-head"><h2>${node.label}</h2><button type="button" class="quiet" onClick=${onClose} aria-label="Close">✕</button></div>
    ${node.within && html`<p class="faint">in ${node.within}</p>`}
    ${node.steps.length === 0 && html`<p class="faint">${node.conditional ? 'Not started; it may be skipped.' : 'Not started yet.'}</p>`}
    ${node.steps.length > 1 && html`<div class="copies"><${VirtualList} rows=${node.steps} height=${32} label=${`Copies of ${node.label}`} keyOf=${(each) => each.id}
      render=${(each) => html`<button type="button" class="copy" aria-pressed=${each.id === step?.id} onClick=${() => choose(each.id)}>
        <span>${each.name}</span><span><${PhaseText} phase=${isWaiting(each) ? 'Suspended' : each.phase} /></span></button>`} /></div>`}
    ${step && html`<${Step} step=${step} run=${run} />`}
    ${step && html`<div class="actions"><${RetryFrom} run=${run} step=${step} onDone=${onRetry} /></div>`}`;
}

function Step({ step, run }) {
  const started = millis(step.started_at);
  const finished = millis(step.finished_at);
  return html`<dl class="small">
      <dt>Phase</dt><dd><${PhaseText} phase=${isWaiting(step) ? 'Suspended' : step.phase} /></dd>
      <dt>Name</dt><dd>${step.name}</dd>
      ${step.template && html`<dt>Template</dt><dd>${step.template}</dd>`}
      ${started && html`<dt>Ran</dt><dd>${duration((finished ?? Math.max(now.value, started)) - started)}</dd>`}
      ${step.message && html`<dt>Message</dt><dd>${step.message}</dd>`}
      ${Object.entries(step.logs ?? {}).map(([container, where]) => html`<dt key=${container}>Log of ${container}</dt><dd><code>${where}</code></dd>`)}
    </dl>
    ${step.type === 'Pod' && html`<${StepLogs} key=${step.id} run=${run} step=${step} />`}
    <${Values} title="Inputs" values=${step.inputs} none="None, or too large." />
    <${Values} title="Outputs" values=${step.outputs} none="None." />`;
}
