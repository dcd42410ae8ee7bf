/** How states look: those of runs and steps, of the connection, of a part of something, and of a page with nothing else to show. */
import { html } from './html.js';

const SIGNS = {
  Succeeded: 'M4 8.5l2.6 2.6L12 5.5',
  Failed: 'M5 5l6 6M11 5l-6 6',
  Error: 'M8 4v5M8 11.6v.2',
  Running: 'M6 4.5l5 3.5-5 3.5z',
  Pending: 'M8 4.5V8l2.2 1.6',
  Submitted: 'M8 4.5V8l2.2 1.6',
  Accepted: 'M5 8h.01M8 8h.01M11 8h.01',
  Suspended: 'M6.3 5v6M9.7 5v6',
  Rejected: 'M4.5 11.5l7-7',
  Expired: 'M8 4.5V8H5.5',
  Deleted: 'M5 8h6',
  Skipped: 'M5 8h6',
  Omitted: 'M5 8h6',
  Planned: '',
};

/** @param {{phase: string, size?: number}} props */
export function PhaseSign({ phase, size = 16 }) {
  return html`<svg class=${`sign phase-${phase}`} width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true">
    <circle cx="8" cy="8" r="7" /><path d=${SIGNS[phase] ?? ''} /></svg>`;
}

/** @param {{phase: string}} props */
export function PhaseText({ phase }) {
  return html`<span class="phase"><${PhaseSign} phase=${phase} />${phase}</span>`;
}

/** How much of something there is, from 0 to 1, with a text that says it. @param {{share: number, phase: string, text: string}} props */
export function Bar({ share, phase, text }) {
  return html`<span class="bar"><svg class=${`phase-${phase}`} width="64" height="6" viewBox="0 0 64 6" aria-hidden="true">
    <rect class="all" width="64" height="6" rx="3" /><rect class="done" width=${64 * share} height="6" rx="3" /></svg>${text}</span>`;
}

/** @param {{title: string, children?: unknown}} props */
export function Empty({ title, children }) {
  return html`<div class="state"><h2>${title}</h2>${children}</div>`;
}

/** @param {{problem: any, retry?: () => void}} props */
export function Failure({ problem, retry }) {
  return html`<div class="state" role="alert"><h2>${problem.title ?? 'Something went wrong'}</h2><p>${problem.message}</p>
    ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}</div>`;
}

export function Loading({ what }) {
  return html`<div class="state loading" role="status"><span class="spinner" aria-hidden="true"></span>${what}</div>`;
}

/** A page whose data has not come. @param {{problem: any, retry?: () => void, what: string}} props */
export function Awaited({ problem, retry, what }) {
  return html`<div class="page">${problem ? html`<${Failure} problem=${problem} retry=${retry} />` : html`<${Loading} what=${what} />`}</div>`;
}

const CONNECTIONS = {
  live: ['Live', 'Changes are shown as they happen.'],
  connecting: ['Connecting', 'Waiting for the gateway.'],
  offline: ['Offline', 'The gateway cannot be reached; it is tried again.'],
  ended: ['Over', 'Nothing more will happen.'],
};

/** @param {{connection: string}} props */
export function Connection({ connection }) {
  const [name, title] = CONNECTIONS[connection];
  return html`<span class=${`connection ${connection}`} title=${title} role="status">${name}</span>`;
}
