import assert from 'node:assert/strict';
import { test } from 'node:test';
import { criticalPath, extent, filled, graphOf, summary } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/graph.js';

const planned = (id, members = {}) => ({ id, name: id.split('/').at(-1), boundary: null, depends_on: [], ...members });
const step = (id, name, members = {}) => ({ id, name, phase: 'Succeeded', type: 'Pod', boundary: null, children: [], ...members });
const shape = (graph) => graph.edges.map((edge) => edge.join(' > ')).sort();

const MAP_REDUCE = [
  planned('split'), planned('count', { depends_on: ['split'], repeated: true }), planned('sum', { depends_on: ['count'] }),
];

test('a plan is drawn before anything runs', () => {
  const graph = graphOf(MAP_REDUCE, [], []);
  assert.deepEqual([...graph.nodes.keys()], ['split', 'count', 'sum']);
  assert.deepEqual(shape(graph), ['count > sum', 'split > count']);
  assert.equal(summary(graph.nodes.get('count')).phase, 'Planned');
});

test('copies of a step are one node, which counts them', () => {
  const copies = Array.from({ length: 200 }, (_, at) => step(`n${at}`, `count(${at})`, { phase: at < 180 ? 'Succeeded' : at < 195 ? 'Running' : 'Pending' }));
  const graph = graphOf(MAP_REDUCE, [step('s', 'split'), ...copies], []);
  const { phase, counts } = summary(graph.nodes.get('count'));
  assert.equal(phase, 'Running');
  assert.deepEqual(Object.fromEntries(counts), { Succeeded: 180, Running: 15, Pending: 5 });
});

test('containers are not drawn: what follows them follows their last steps', () => {
  const plan = [
    planned('build', { kind: 'DAG' }), planned('build/compile', { boundary: 'build' }),
    planned('build/test', { boundary: 'build', depends_on: ['build/compile'] }), planned('ship', { depends_on: ['build'] }),
  ];
  const graph = graphOf(plan, [step('b', 'build', { type: 'DAG' }), step('t', 'test', { boundary: 'b' })], []);
  assert.deepEqual([...graph.nodes.keys()], ['build/compile', 'build/test', 'ship']);
  assert.deepEqual(shape(graph), ['build/compile > build/test', 'build/test > ship']);
  assert.deepEqual(graph.nodes.get('build/test').steps.map(({ id }) => id), ['t']);
});

test('an exit handler follows everything, and its step has the name of the Workflow before it', () => {
  const plan = [planned('work'), planned('onExit', { exit_handler: true })];
  const graph = graphOf(plan, [step('e', 'run-abc.onExit')], []);
  assert.deepEqual(shape(graph), ['work > onExit']);
  assert.equal(graph.nodes.get('onExit').steps.length, 1);
});

test('a workflow of one step has its step named after the Workflow', () => {
  const graph = graphOf([planned('greet')], [step('x', 'run-abc')], []);
  assert.equal(graph.nodes.get('greet').steps.length, 1);
});

test('without a plan the graph is that of the steps, past groups and containers', () => {
  const steps = [
    step('root', 'run-a', { type: 'Steps', children: ['g0'] }),
    step('a', 'split', { boundary: 'root', children: ['g1'] }),
    step('c0', 'count(0)', { boundary: 'root', children: ['g2'] }),
    step('c1', 'count(1)', { boundary: 'root', children: ['g2'] }),
    step('z', 'sum', { boundary: 'root' }),
  ];
  const groups = [
    { id: 'g0', name: '[0]', phase: 'Succeeded', boundary: 'root', children: ['a'] },
    { id: 'g1', name: '[1]', phase: 'Succeeded', boundary: 'root', children: ['c0', 'c1'] },
    { id: 'g2', name: '[2]', phase: 'Succeeded', boundary: 'root', children: ['z'] },
  ];
  const graph = graphOf(null, steps, groups);
  assert.deepEqual([...graph.nodes.values()].map(({ label }) => label), ['split', 'count', 'sum']);
  assert.equal(graph.edges.length, 2);
  assert.equal(graph.nodes.get('run-a/count').steps.length, 2);
});

test('steps that lead back to themselves do not hang', () => {
  const steps = [step('a', 'a', { children: ['b'], boundary: 'b' }), step('b', 'b', { children: ['a'], boundary: 'a' })];
  assert.ok(graphOf(null, steps, []));
  assert.ok(graphOf(MAP_REDUCE, steps, []));
});

test('a suspended step is one that waits', () => {
  const graph = graphOf([planned('approve')], [step('s', 'approve', { type: 'Suspend', phase: 'Running' })], []);
  assert.equal(summary(graph.nodes.get('approve')).phase, 'Suspended');
});

const at = (second) => new Date(second * 1000).toISOString();

test('the critical path is what the end waited for', () => {
  const plan = [
    planned('a'), planned('quick', { depends_on: ['a'] }), planned('slow', { depends_on: ['a'] }),
    planned('z', { depends_on: ['quick', 'slow'] }), planned('later', { depends_on: ['z'] }),
  ];
  const times = { a: [0, 1], quick: [1, 2], slow: [1, 9], z: [9, 10] };
  const steps = Object.entries(times).map(([name, [from, to]]) => step(name, name, { started_at: at(from), finished_at: at(to) }));
  assert.deepEqual([...criticalPath(graphOf(plan, steps, []))], ['z', 'slow', 'a']);
  steps[1].finished_at = null;
  steps.pop();
  assert.deepEqual([...criticalPath(graphOf(plan, steps, []))], ['quick', 'a'], 'what still runs is last');
  assert.deepEqual([...criticalPath(graphOf(plan, [], []))], []);
});

test('a node lasts from its first copy to its last one', () => {
  const copies = [step('c0', 'count(0)', { started_at: at(2), finished_at: at(3) }), step('c1', 'count(1)', { started_at: at(1), finished_at: at(2) })];
  assert.deepEqual(extent({ steps: copies }), [1000, 3000]);
  copies[0].finished_at = null;
  assert.deepEqual(extent({ steps: copies }), [1000, Infinity]);
});

test('a graph that is filled again is the graph of the new steps', () => {
  const before = [
    step('root', 'run-a', { type: 'Steps', children: ['a'] }), step('a', 'split', { boundary: 'root', children: ['c0', 'c1'] }),
    step('c0', 'count(0)', { boundary: 'root', phase: 'Running' }), step('c1', 'count(1)', { boundary: 'root', phase: 'Pending' }),
  ];
  const after = before.map((each) => ({ ...each, phase: 'Succeeded' }));
  for (const plan of [null, MAP_REDUCE]) {
    const again = filled(graphOf(plan, before, []), after);
    const wanted = graphOf(plan, after, []);
    assert.deepEqual([again.nodes, again.edges], [wanted.nodes, wanted.edges]);
  }
});
