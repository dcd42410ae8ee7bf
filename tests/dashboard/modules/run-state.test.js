import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History, apply } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/run-state.js';

const event = (sequence, members = {}) => ({
  event_id: String(sequence), run_id: 'a', tenant: 'default', workflow: 'hello', phase: 'Running', terminal: false,
  attempt: 1, sequence, observed_at: '2026-11-30T10:00:00Z', ...members,
});
const step = (id, phase = 'Running') => ({ id, name: id, phase });

test('steps that changed replace those that were known, and others stay', () => {
  const first = apply(null, event(1, { steps: [step('a'), step('b')] }));
  const second = apply(first, event(2, { steps: [step('b', 'Succeeded')] }));
  assert.deepEqual([...second.steps.values()], [step('a'), step('b', 'Succeeded')]);
  assert.deepEqual([...first.steps.values()], [step('a'), step('b')], 'the state before is left as it is');
});

test('an event that is not newer changes nothing', () => {
  const state = apply(null, event(5));
  assert.equal(apply(state, event(5)), state);
  assert.equal(apply(state, event(4, { terminal: true })), state);
});

test('a retry drops the steps of the attempt before', () => {
  const failed = apply(null, event(1, { terminal: true, phase: 'Failed', steps: [step('a', 'Failed')] }));
  const retried = apply(failed, event(2, { attempt: 2, steps: [step('b')] }));
  assert.deepEqual([...retried.steps.keys()], ['b']);
  assert.deepEqual([...apply(failed, event(2, { attempt: 2 })).steps.keys()], []);
});

test('a terminal event has all steps, unless it has none', () => {
  const running = apply(null, event(1, { steps: [step('a'), step('gone')] }));
  const ended = apply(running, event(2, { terminal: true, steps: [step('a', 'Succeeded')] }));
  assert.deepEqual([...ended.steps.keys()], ['a']);
  assert.deepEqual([...apply(running, event(2, { terminal: true })).steps.keys()], ['a', 'gone']);
});

test('the state after so many events is the one that these events make', () => {
  const history = new History();
  const events = Array.from({ length: 4_500 }, (_, at) => event(at + 1, { steps: [step(`s${at % 7}`, String(at))] }));
  const states = [];
  for (const each of events) {
    history.push(each);
    states.push(apply(states.at(-1) ?? null, each));
  }
  history.push(events[3]); // A copy.
  assert.equal(history.length, 4_500);
  for (const count of [1, 2, 1_999, 2_000, 2_001, 3_000, 4_499, 4_500, 9_999]) {
    assert.deepEqual(history.at(count), states[Math.min(count, 4_500) - 1]);
  }
});

test('of very many states the last ones are kept', () => {
  const history = new History();
  for (let sequence = 1; sequence <= 25_000; sequence += 1) {
    history.push(event(sequence, { steps: [step(`s${sequence % 7}`, String(sequence))] }));
  }
  assert.ok(history.length > 18_000 && history.length <= 20_000, String(history.length));
  const first = 25_000 - history.length;
  for (const count of [1, 1_999, 2_000, 2_001, history.length]) {
    const { event: last, steps } = history.at(count);
    const sequence = first + count;
    assert.deepEqual([last.sequence, steps.size, steps.get(`s${sequence % 7}`).phase], [sequence, 7, String(sequence)]);
  }
});

test('the shape is another one when a step comes, goes, or leads elsewhere', () => {
  let state = null;
  const next = (steps, members) => {
    const before = state?.shape;
    state = apply(state, event((state?.event.sequence ?? 0) + 1, { steps, ...members }));
    return state.shape !== before;
  };
  assert.ok(next([{ ...step('a'), children: ['b'] }]));
  assert.ok(!next([{ ...step('a', 'Succeeded'), children: ['b'] }]), 'a phase');
  assert.ok(next([{ ...step('a', 'Succeeded'), children: ['b', 'c'] }]), 'another child');
  assert.ok(next([step('b')]), 'another step');
  assert.ok(next([step('a', 'Succeeded')], { terminal: true }), 'a step is gone');
});
