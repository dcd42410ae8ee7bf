/** The graph of a run: laid out once for its shape, filled in as steps happen. */
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../ui/html.js';
import { Empty, PhaseSign } from '../ui/states.js';
import { summary } from '../lib/graph.js';
import { layOut } from '../lib/layout.js';
import { countsText } from '../lib/format.js';

const WIDTH = 170;
const HEIGHT = 48;
const MARGIN = 24;
const CLOSEST = 1.5;
const NARROW = 500;

/** @param {{graph: import('../lib/graph.js').Graph, selected: string | null, onSelect: (id: string | null) => void}} props */
export function GraphView({ graph, selected, onSelect }) {
  // Nodes do not move when steps happen: the shape alone decides where they are.
  const shape = useMemo(() => `${[...graph.nodes.keys()].join('\n')}\n\n${graph.edges.join('\n')}`, [graph.edges]);
  const layout = useMemo(
    () => layOut([...graph.nodes.keys()].map((id) => ({ id, width: WIDTH, height: HEIGHT })), graph.edges, { across: 40 }),
    [shape],
  );
  const frame = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [view, setView] = useState(/** @type {{x: number, y: number, scale: number} | null} */ (null));
  useLayoutEffect(() => {
    const element = /** @type {HTMLDivElement} */ (frame.current);
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const fitted = useMemo(() => fit(layout, size), [layout, size]);
  const at = view ?? fitted;
  useEffect(() => setView(null), [layout]);
  usePanning(frame, at, setView);
  const seen = visible(layout, at, size);
  const edges = graph.edges.filter(([from, to]) => seen.has(from) || seen.has(to));
  return html`<div class="graph" ref=${frame} role="group" aria-label="Graph of the run; the steps tab has the same as a list">
    ${graph.nodes.size === 0 && html`<${Empty} title="No steps yet" />`}
    <svg width=${size.width} height=${size.height} aria-hidden=${graph.nodes.size === 0}>
      <g transform=${`translate(${at.x} ${at.y}) scale(${at.scale})`}>
        <g class="edges">${edges.map(([from, to]) => html`<path key=${`${from}\n${to}`} d=${curve(layout.places.get(from), layout.places.get(to))} />`)}</g>
        ${[...seen].map((id) => html`<${Node} key=${id} node=${graph.nodes.get(id)} place=${layout.places.get(id)} isSelected=${id === selected} onSelect=${onSelect} />`)}
      </g>
    </svg>
    <div class="zoom">
      <button type="button" aria-label="Closer" onClick=${() => setView(zoomed(at, 1.25, size.width / 2, size.height / 2))}>+</button>
      <button type="button" aria-label="Farther" onClick=${() => setView(zoomed(at, 0.8, size.width / 2, size.height / 2))}>−</button>
      <button type="button" onClick=${() => setView(null)}>Fit</button>
    </div>
  </div>`;
}

function Node({ node, place, isSelected, onSelect }) {
  const { phase, counts } = summary(node);
  const copies = node.steps.length;
  const about = copies > 1 ? countsText(counts) : node.repeated && copies === 0 ? 'one for each item' : node.conditional && copies === 0 ? 'maybe' : phase === 'Planned' ? '' : phase;
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    onSelect(node.id);
  };
  return html`<g class=${`node phase-${phase}${isSelected ? ' selected' : ''}`} transform=${`translate(${place.x} ${place.y})`}
      role="button" tabindex="0" aria-label=${`${node.label}${copies > 1 ? ` ×${copies}` : ''} ${about || phase}`} onClick=${() => onSelect(node.id)} onKeyDown=${key}>
    ${copies > 1 || node.repeated ? html`<rect class="behind" x="4" y="4" width=${WIDTH} height=${HEIGHT} rx="8" />` : null}
    <rect width=${WIDTH} height=${HEIGHT} rx="8" />
    <g transform="translate(12 16)"><${PhaseSign} phase=${phase} /></g>
    <text class="title" x="36" y=${about ? 21 : 29}>${shortened(node.label, 16)}${copies > 1 ? ` ×${copies}` : ''}${' '}</text>
    ${about && html`<text class="about" x="36" y="38">${about}</text>`}
  </g>`;
}

function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function curve(from, to) {
  const [x1, y1] = [from.x + from.width, from.y + from.height / 2];
  const [x2, y2] = [to.x, to.y + to.height / 2];
  const bend = Math.max(24, (x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

function fit(layout, size) {
  const scale = Math.min(1, (size.width - 2 * MARGIN) / Math.max(1, layout.width), (size.height - 2 * MARGIN) / Math.max(1, layout.height));
  const used = Math.max(scale, size.width < NARROW ? 0.6 : 0.35);
  return {
    x: Math.max(MARGIN, (size.width - layout.width * used) / 2),
    y: Math.max(MARGIN, (size.height - layout.height * used) / 2),
    scale: used,
  };
}

/** The nodes in the frame: others are not drawn. */
function visible(layout, { x, y, scale }, { width, height }) {
  const seen = new Set();
  for (const [id, place] of layout.places) {
    const left = place.x * scale + x;
    const top = place.y * scale + y;
    if (left < width && top < height && left + place.width * scale > 0 && top + place.height * scale > 0) seen.add(id);
  }
  return seen;
}

function zoomed(view, factor, x, y) {
  const scale = Math.min(CLOSEST, Math.max(0.2, view.scale * factor));
  const by = scale / view.scale;
  return { scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by };
}

function usePanning(frame, view, setView) {
  const latest = useRef(view);
  latest.current = view;
  useEffect(() => {
    const element = /** @type {HTMLElement} */ (frame.current);
    const wheel = (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const { x, y, scale } = latest.current;
      if (event.ctrlKey || event.metaKey) setView(zoomed(latest.current, Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top));
      else setView({ x: x - event.deltaX, y: y - event.deltaY, scale });
    };
    const down = (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0 || /** @type {Element} */ (event.target).closest('.node, .zoom')) return;
      const start = { ...latest.current, px: event.clientX, py: event.clientY };
      element.setPointerCapture(event.pointerId);
      const move = (/** @type {PointerEvent} */ to) => setView({ scale: start.scale, x: start.x + to.clientX - start.px, y: start.y + to.clientY - start.py });
      const up = () => { element.removeEventListener('pointermove', move); element.removeEventListener('pointerup', up); };
      element.addEventListener('pointermove', move);
      element.addEventListener('pointerup', up);
    };
    element.addEventListener('wheel', wheel, { passive: false });
    element.addEventListener('pointerdown', down);
    return () => {
      element.removeEventListener('wheel', wheel);
      element.removeEventListener('pointerdown', down);
    };
  }, []);
}
