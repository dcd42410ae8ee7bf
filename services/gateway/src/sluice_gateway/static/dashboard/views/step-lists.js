/** The steps as lists: by their states, and by when they ran. */
import { html, now, useMemo } from '../ui/html.js';
import { PhaseText } from '../ui/states.js';
import { VirtualList } from '../ui/virtual-list.js';
import { criticalPath, extent, summary } from '../lib/graph.js';
import { countsText, duration, millis } from '../lib/format.js';

/** @param {{graph: import('../lib/graph.js').Graph, selected: string | null, onSelect: (id: string) => void}} props */
export function StepTree({ graph, selected, onSelect }) {
  const rows = [...graph.nodes.values()];
  return html`<${VirtualList} rows=${rows} height=${36} label="Steps of the run" keyOf=${(node) => node.id}
    render=${(node) => {
      const { phase, counts } = summary(node);
      return html`<button type="button" class="step-row" aria-pressed=${node.id === selected} onClick=${() => onSelect(node.id)}>
        <span class="cell"><${PhaseText} phase=${phase} /></span>
        <span class="cell">${node.within ? html`<span class="faint">${node.within}/</span>` : null}${node.label}</span>
        <span class="cell">${node.steps.length > 1 ? countsText(counts) : ''}</span></button>`;
    }} />`;
}

/** A strip of time from the request to the end. @param {{run: any, graph: import('../lib/graph.js').Graph, onSelect: (id: string) => void}} props */
export function TimeStrip({ run, graph, onSelect }) {
  const begin = millis(run.accepted_at) ?? millis(run.started_at) ?? now.value;
  const end = Math.max(begin + 1, millis(run.finished_at) ?? (run.terminal ? latest(graph, begin) : now.value));
  const rows = [...graph.nodes.values()].filter((node) => node.steps.length > 0);
  const path = useMemo(() => criticalPath(graph), [graph]);
  const left = (/** @type {number} */ at) => `${(100 * (at - begin)) / (end - begin)}%`;
  return html`<div class="times"><div class="scale"><span>0</span><span>${duration((end - begin) / 2)}</span><span>${duration(end - begin)}</span></div>
    <${VirtualList} rows=${rows} height=${32} label="When each step ran" keyOf=${(node) => node.id} render=${(node) => {
      const { phase } = summary(node);
      const [from, to] = extent(node).map((at) => Math.min(at, end));
      const isCritical = path.has(node.id);
      return html`<button type="button" class=${`time-row${isCritical ? ' critical' : ''}`} onClick=${() => onSelect(node.id)}>
        <span class="cell">${node.label}${node.steps.length > 1 ? ` ×${node.steps.length}` : ''}${isCritical && html`<span class="unseen">, critical</span>`}</span>
        <span class="track"><span class=${`span phase-${phase}`} style=${{ left: left(from), width: `max(3px, ${(100 * (to - from)) / (end - begin)}%)` }}></span></span>
        <span class="cell took">${duration(Math.max(0, to - from))}</span></button>`;
    }} /><p class="legend faint">Bold: the critical path, which the end waited for.</p></div>`;
}

function latest(graph, begin) {
  let last = begin;
  for (const node of graph.nodes.values()) for (const step of node.steps) last = Math.max(last, millis(step.finished_at) ?? begin);
  return last;
}
