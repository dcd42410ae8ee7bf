/** The runs that wait for an answer. */
import { html, now, typed, useMemo, useReading, useState, useTitle } from '../ui/html.js';
import { Link, runAddress } from '../ui/router.js';
import { Values } from '../ui/code.js';
import { Fields } from '../ui/fields.js';
import { Awaited, Empty } from '../ui/states.js';
import { complain, say } from '../ui/messages.js';
import { get, post, runPath } from '../data/api.js';
import { begin, fieldsOf, valuesOf } from '../lib/form.js';
import { duration, millis } from '../lib/format.js';
import { keyOf } from '../lib/lists.js';

const MOST = 50;

export function ApprovalsPage() {
  const [runs, setRuns] = useState(/** @type {any[] | null} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [isAll, setIsAll] = useState(true);
  const read = async () => {
    try {
      const page = await get(`/v1/runs?phase=Suspended&limit=${MOST}`);
      const found = await Promise.allSettled(page.runs.map((run) => get(runPath(run.id, run.tenant))));
      setRuns(found.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
      setIsAll(page.next_cursor === null);
      setProblem(null);
    } catch (found) {
      setProblem(found);
    }
  };
  useTitle('Approvals');
  useReading(read);
  if (!runs) return html`<${Awaited} problem=${problem} retry=${read} what="Reading what waits …" />`;
  const waiting = runs.flatMap((run) => (run.waiting_for ?? []).map((step) => ({ run, step })));
  return html`<div class="page"><div class="heading"><h1>Approvals</h1></div>
    ${!isAll && html`<div class="notice"><p>These are of the newest ${MOST} suspended runs. <${Link} to="/runs?phase=Suspended">The list of runs</${Link}> has all.</p></div>`}
    ${waiting.length === 0 && html`<${Empty} title="Nothing waits for an answer" />`}
    <div class="inbox">${waiting.map(({ run, step }) => html`<${Answer} key=${`${keyOf(run)}/${step.step}`} run=${run} step=${step} onDone=${read} />`)}</div></div>`;
}

/** @param {{run: any, step: any, onDone: () => void, isAlone?: boolean}} props `isAlone`: the page is about the run. */
export function Answer({ run, step, onDone, isAlone = false }) {
  const fields = useMemo(() => fieldsOf(step.answer), [step.step]);
  const [given, setGiven] = useState(() => begin(fields));
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const { values, errors } = valuesOf(fields, given);
  const since = millis(step.since);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await post(runPath(run.id, run.tenant, '/resume'), { step: step.step, ...(fields.length && { values }), ...(reason && { reason }) });
      say('The answer is on its way.');
      onDone();
    } catch (problem) {
      complain(problem);
    } finally {
      setBusy(false);
    }
  };
  return html`<form class="panel answer" onSubmit=${submit}>
    <div class="heading"><h2>${step.name}</h2>${!isAlone && html`<${Link} to=${runAddress(run)} class="id">${run.id}</${Link}><span class="label">${run.workflow}</span>`}
      ${since && html`<span class="faint">waiting for ${duration(Math.max(0, now.value - since))}</span>`}</div>
    ${step.message && html`<p class="question">${step.message}</p>`}
    ${!isAlone && run.parameters && html`<${Values} title="Parameters" values=${run.parameters} none="None." />`}
    <${Fields} fields=${fields} given=${given} errors=${errors} onChange=${setGiven} prefix=${`answer-${step.step}`} />
    <div class="field"><label for=${`reason-${step.step}`}>Reason</label><input id=${`reason-${step.step}`} value=${reason} maxlength="1024" autocomplete="off"
      onInput=${(event) => setReason(typed(event))} /></div>
    <div class="actions"><button class="primary" type="submit" disabled=${busy || errors.size > 0}>Answer</button></div></form>`;
}
