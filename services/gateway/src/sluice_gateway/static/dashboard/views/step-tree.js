/** The steps as a list: the same as the graph, for keyboards and screen readers. */
import { html } from '../ui/html.js';
import { PhaseText } from '../ui/phase.js';
import { VirtualList } from '../ui/virtual-list.js';
import { summary } from '../lib/graph.js';
import { countsText } from './counts-text.js';

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
