/** The log of a step: its last lines, and more while it runs and somebody looks. */
import { html, useEffect, useRef, useState } from '../ui/html.js';
import { runPath } from '../data/api.js';
import { follow } from '../data/follow.js';

const LINES = 500;

/** @param {{run: {id: string, tenant: string}, step: {id: string}}} props */
export function StepLogs({ run, step }) {
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
