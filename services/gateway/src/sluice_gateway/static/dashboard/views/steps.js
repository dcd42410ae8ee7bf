/** The steps of a run: as a list, by when they ran, and each in detail, with its log. */
import { html, now, useEffect, useMemo, useRef, useState } from '../ui/html.js';
import { Values } from '../ui/code.js';
import { PhaseText } from '../ui/states.js';
import { VirtualList } from '../ui/virtual-list.js';
import { runPath } from '../data/api.js';
import { follow } from '../data/follow.js';
import { countsText, duration, millis } from '../lib/format.js';
import { criticalPath, extent, isWaiting, summary } from '../lib/graph.js';
import { usualEnd } from '../lib/usual.js';
import { RetryFrom } from './commands.js';

const LINES = 500;

/** The steps by their states. @param {{graph: import('../lib/graph.js').Graph, selected: string | null, onSelect: (id: string) => void}} props */
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

/** A strip of time from the request to the end. @param {{run: any, usual: number | null, graph: import('../lib/graph.js').Graph, onSelect: (id: string) => void}} props */
export function TimeStrip({ run, usual, graph, onSelect }) {
  const begin = millis(run.accepted_at) ?? millis(run.started_at) ?? now.value;
  const until = Math.max(begin + 1, millis(run.finished_at) ?? (run.terminal ? latest(graph, begin) : now.value));
  const mark = usualEnd(run, usual, now.value);
  const end = Math.max(until, mark.end ?? until);
  const rows = [...graph.nodes.values()].filter((node) => node.steps.length > 0);
  const path = useMemo(() => criticalPath(graph), [graph]);
  const left = (/** @type {number} */ at) => `${(100 * (at - begin)) / (end - begin)}%`;
  const span = (/** @type {string} */ phase, /** @type {number} */ from, /** @type {number} */ to) => html`<span class=${`span phase-${phase}`}
    style=${{ left: left(from), width: `max(3px, ${(100 * (to - from)) / (end - begin)}%)` }}></span>`;
  const started = millis(run.started_at);
  return html`<div class="times">${usual !== null && html`<div class="whole">
      ${started !== null && html`<div class="time-row"><span class="cell">The run</span>
        <span class="track">${span(run.phase, Math.min(started, until), until)}${mark.end !== null && html`<span class="mark" style=${{ left: left(mark.end) }}></span>`}</span>
        <span class="cell took">${duration(Math.max(0, until - started))}</span></div>`}
      <p class="faint" role="status">usually ${duration(usual)}${mark.isLonger && html`, <b>longer than usual</b>`}</p></div>`}
    <div class="scale"><span>0</span><span>${duration((end - begin) / 2)}</span><span>${duration(end - begin)}</span></div>
    <${VirtualList} rows=${rows} height=${32} label="When each step ran" keyOf=${(node) => node.id} render=${(node) => {
      const { phase } = summary(node);
      const [from, to] = extent(node).map((at) => Math.min(at, until));
      const isCritical = path.has(node.id);
      return html`<button type="button" class=${`time-row${isCritical ? ' critical' : ''}`} onClick=${() => onSelect(node.id)}>
        <span class="cell">${node.label}${node.steps.length > 1 ? ` ×${node.steps.length}` : ''}${isCritical && html`<span class="unseen">, critical</span>`}</span>
        <span class="track">${span(phase, from, to)}</span>
        <span class="cell took">${duration(Math.max(0, to - from))}</span></button>`;
    }} /><p class="legend faint">Bold: the critical path, which the end waited for.</p></div>`;
}

function latest(graph, begin) {
  let last = begin;
  for (const node of graph.nodes.values()) for (const step of node.steps) last = Math.max(last, millis(step.finished_at) ?? begin);
  return last;
}

/** A node of the graph: its copies, what they were given and what they gave. @param {{node: import('../lib/graph.js').GraphNode, run: any, onClose: () => void, onRetry: () => void}} props */
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

/** The log of a step: its last lines, and more while it runs and somebody looks. @param {{run: {id: string, tenant: string}, step: {id: string}}} props */
function StepLogs({ run, step }) {
  const [open, setOpen] = useState(false);
  const path = `${runPath(run.id, '', `/steps/${encodeURIComponent(step.id)}/logs`)}?tail=${LINES}&follow=true&tenant=${encodeURIComponent(run.tenant)}`;
  return html`<details class="values" onToggle=${(/** @type {Event} */ event) => setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)}>
    <summary>Log</summary>${open && html`<${Log} key=${path} path=${path} />`}</details>`;
}

/** @param {{path: string}} props */
function Log({ path }) {
  const [lines, setLines] = useState(/** @type {string[]} */ ([]));
  const [state, setState] = useState('connecting');
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const place = useRef(/** @type {string | null} */ (null));
  useEffect(() => {
    let stop = new AbortController();
    let over = false;
    const end = (/** @type {string} */ said) => {
      over = true;
      stop.abort();
      setState(said);
    };
    const look = () => {
      stop.abort();
      if (over || document.hidden) return;
      stop = new AbortController();
      follow(path, {
        signal: stop.signal,
        after: place.current,
        onConnection: (connection) => over || setState(connection),
        onGone: () => end('The log is no longer kept: the pod of the step is gone.'),
        onLines: (events) => {
          const texts = events.filter((each) => each.event === 'log').map(({ data }) => {
            const line = /** @type {any} */ (data);
            return `${line.text}${line.truncated ? ' …' : ''}`;
          });
          place.current = events.findLast((each) => each.id)?.id ?? place.current;
          if (texts.length) setLines((before) => [...before, ...texts].slice(-LINES));
          if (events.some((each) => each.event === 'end')) end('');
        },
      }).catch((problem) => end(problem.message));
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      over = true;
      stop.abort();
      document.removeEventListener('visibilitychange', look);
    };
  }, [path]);
  // The newest line stays in sight.
  useEffect(() => box.current?.scrollTo(0, box.current.scrollHeight), [lines]);
  return html`${lines.length > 0 && html`<pre ref=${box} tabindex="0" aria-label="Log">${lines.join('\n')}</pre>`}
    <p class="faint" role="status">${{ connecting: 'Reading …', live: 'Live.', offline: 'Offline.' }[state] ?? (state || (lines.length ? '' : 'It has written nothing.'))}</p>`;
}
