/** Records that could never be valid: look at them, replay them, or drop them. */
import { html, useEffect, useRef, useState } from '../ui/html.js';
import { Link, go } from '../ui/router.js';
import { ask } from '../ui/dialog.js';
import { PhaseSign } from '../ui/phase.js';
import { Empty, Failure, Loading } from '../ui/states.js';
import { say } from '../ui/toasts.js';
import { VirtualList } from '../ui/virtual-list.js';
import { now } from '../ui/clock.js';
import { get, post } from '../data/api.js';
import { may } from '../data/identity.js';
import { ago, millis } from '../lib/format.js';
import { joined } from '../lib/newest-first.js';
import { runAddress } from './addresses.js';

const EVERY = 4000;
const STATES = ['open', 'replayed', 'dropped'];
const SIGNS = { open: 'Failed', replayed: 'Succeeded', dropped: 'Deleted' };

export function DeadLettersPage() {
  const [state, setState] = useState('open');
  const [letters, setLetters] = useState(/** @type {any[] | null} */ (null));
  const [cursor, setCursor] = useState(/** @type {string | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [chosen, choose] = useState(/** @type {string | null} */ (null));
  // What is asked for one state must not be shown under another.
  const current = useRef(state);
  current.current = state;
  const part = async (/** @type {string} */ more) => {
    try {
      const page = await get(`/v1/dead-letters?state=${state}&limit=200${more}`);
      if (current.current !== state) return null;
      setProblem(null);
      return page;
    } catch (error) {
      if (current.current === state) setProblem(error);
      return null;
    }
  };
  const read = async () => {
    const page = await part('');
    if (!page) return;
    const { known, isWhole } = joined(letters ?? [], page.dead_letters);
    setLetters(known);
    // Behind a gap the list begins again.
    if (!isWhole) setCursor(page.next_cursor);
  };
  const latest = useRef(read);
  latest.current = read;
  const reading = useRef(false);
  const more = async () => {
    if (!cursor || reading.current) return;
    reading.current = true;
    const page = await part(`&cursor=${encodeURIComponent(cursor)}`);
    reading.current = false;
    if (!page) return;
    setLetters((known) => [...(known ?? []), ...page.dead_letters]);
    setCursor(page.next_cursor);
  };
  useEffect(() => {
    document.title = 'Dead letters · Sluice';
    setLetters(null);
    setCursor(null);
    latest.current();
    const timer = setInterval(() => { if (!document.hidden) latest.current(); }, EVERY);
    return () => clearInterval(timer);
  }, [state]);
  const decided = async (/** @type {string} */ id) => {
    setLetters((known) => known && known.filter((each) => each.id !== id));
    await read();
  };
  const empty = problem ? html`<${Failure} problem=${problem} retry=${read} />`
    : letters ? html`<${Empty} title=${state === 'open' ? 'No dead letters' : `None were ${state}`} /> ` : html`<${Loading} what="Reading the dead letters …" />`;
  return html`<div class="page letters"><div class="heading"><h1>Dead letters</h1>
      <div class="counts" role="group" aria-label="State">${STATES.map((name) => html`<button key=${name} type="button" aria-pressed=${name === state}
        onClick=${() => { choose(null); setState(name); }}><${PhaseSign} phase=${SIGNS[name]} size=${14} />${name}</button>`)}</div></div>
    <div class="run-body">
      <${VirtualList} rows=${letters ?? []} height=${56} label="Dead letters, newest first" keyOf=${(each) => each.id} onNearEnd=${more} empty=${empty}
        render=${(each) => html`<button type="button" class="letter" aria-pressed=${each.id === chosen} onClick=${() => choose(each.id)}>
          <span class="cell"><b>${each.title}</b><span class="faint"> ${each.run?.id ?? ''}</span></span>
          <span class="cell faint">${each.detail ?? each.request}</span>
          <time class="cell faint">${ago(millis(each.rejected_at) ?? 0, now.value)}</time></button>`} />
      <aside class="panel side" aria-label="The dead letter">${chosen ? html`<${Letter} key=${chosen} id=${chosen} onDone=${decided} />` : html`<p class="faint">Choose one to see what it holds.</p>`}</aside>
    </div></div>`;
}

function Letter({ id, onDone }) {
  const [letter, setLetter] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [value, setValue] = useState(/** @type {string | null} */ (null));
  const [busy, setBusy] = useState(false);
  const path = `/v1/dead-letters/${encodeURIComponent(id)}`;
  const read = () => get(path).then(setLetter, setProblem);
  useEffect(() => { read(); }, [id]);
  if (problem) return html`<${Failure} problem=${problem} retry=${read} />`;
  if (!letter) return html`<${Loading} what="Reading it …" />`;
  const text = letter.payload?.value?.encoding === 'utf-8' ? letter.payload.value.data : null;
  const decide = async (action, body, label) => {
    setBusy(true);
    try {
      const decided = await post(`${path}/${action}`, body);
      onDone(id);
      const run = decided.decision?.run;
      if (action === 'replay' && run) go(runAddress(run));
      else { setLetter({ ...letter, ...decided }); say(label); }
    } catch (error) {
      say([/** @type {any} */ (error).message, ...(/** @type {any} */ (error).errors ?? []).map((each) => `${each.pointer}: ${each.detail}`)].join(' '), { bad: true });
    } finally {
      setBusy(false);
    }
  };
  const replay = async () => {
    let edited;
    try {
      edited = value !== null && value !== text ? JSON.parse(value) : undefined;
    } catch {
      say('The value is not JSON.', { bad: true });
      return;
    }
    const answer = await ask({ title: 'Replay it?', text: edited ? 'The changed value is sent as a new request.' : 'The record is sent again as it was received.', action: 'Replay', reason: true });
    if (answer) await decide('replay', { ...(edited && { value: edited }), ...(answer.reason && { reason: answer.reason }) }, 'It was replayed.');
  };
  const drop = async () => {
    const answer = await ask({ title: 'Drop it?', text: 'Nobody is asked about it any more. It can still be read.', action: 'Drop', bad: true, reason: true });
    if (answer) await decide('drop', answer.reason ? { reason: answer.reason } : {}, 'It was dropped.');
  };
  return html`<h2>${letter.title}</h2>
    <p>${letter.problem.detail ?? letter.detail ?? ''}</p>
    ${(letter.problem.errors ?? []).filter(({ detail }) => detail !== letter.problem.detail).map((each) => html`<p key=${each.pointer} class="error"><code>${each.pointer || '/'}</code> ${each.detail}</p>`)}
    <dl class="small"><dt>Record</dt><dd class="id">${letter.request}</dd>
      ${letter.run && html`<dt>Run</dt><dd><${Link} to=${runAddress(letter.run)}>${letter.run.id}</${Link}></dd>`}
      ${letter.decision && html`<dt>${letter.state}</dt><dd>${letter.decision.by}${letter.decision.reason ? `: ${letter.decision.reason}` : ''}
        ${letter.decision.run && html` <${Link} to=${runAddress(letter.decision.run)}>${letter.decision.run.id}</${Link}>`}</dd>`}</dl>
    ${letter.truncated && html`<p class="faint">Only the head of its ${letter.size} bytes was kept, so that it cannot be replayed as it was.</p>`}
    ${letter.payload ? html`<div class="field"><label for="letter-value">Value</label>
        <textarea id="letter-value" rows="9" readonly=${letter.state !== 'open'} value=${value ?? text ?? letter.payload.value?.data ?? ''}
          onInput=${(/** @type {Event} */ event) => setValue(/** @type {HTMLTextAreaElement} */ (event.target).value)}></textarea>
        <p class="faint">${text === null ? 'As base64: it is not text. Write a request instead to replay it.' : 'Change it to replay it as another request.'}</p></div>`
      : html`<p class="faint">Its value is not shown to you.</p>`}
    ${letter.state === 'open' && html`<div class="actions"><button type="button" class="bad" disabled=${busy} onClick=${drop}>Drop</button>
      ${(may('runs:start') || may('runs:command')) && html`<button type="button" class="primary" disabled=${busy} onClick=${replay}>Replay</button>`}</div>`}`;
}
