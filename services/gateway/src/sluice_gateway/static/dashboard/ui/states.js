/** What a page shows when it has nothing else to show. */
import { html } from './html.js';

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
