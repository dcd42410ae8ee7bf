import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layOut } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/layout.js';
import { randomFrom } from './random.js';

const box = (id) => ({ id: String(id), width: 100, height: 40 });

function randomGraph(seed) {
  const random = randomFrom(seed);
  const count = 1 + Math.floor(random() * 60);
  const edges = [];
  for (let at = 0; at < count * 1.5; at += 1) {
    edges.push([String(Math.floor(random() * count)), String(Math.floor(random() * count))]);
  }
  return { boxes: Array.from({ length: count }, (_, at) => box(at)), edges };
}

test('no two nodes overlap, whatever the graph is', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const { boxes, edges } = randomGraph(seed);
    const { places, width, height } = layOut(boxes, edges);
    const all = [...places.values()];
    assert.equal(all.length, boxes.length);
    for (const a of all) {
      assert.ok(a.x >= 0 && a.y >= -1e-6 && a.x + a.width <= width + 1e-6 && a.y + a.height <= height + 1e-6);
      for (const b of all) {
        const apart = a === b || Math.abs(a.x - b.x) >= 100 || Math.abs(a.y - b.y) >= 40 - 1e-6;
        assert.ok(apart, `seed ${seed}`);
      }
    }
  }
});

test('edges lead from left to right, if there is no cycle', () => {
  const random = randomFrom(7);
  const edges = Array.from({ length: 80 }, () => {
    const to = 1 + Math.floor(random() * 39);
    return [String(Math.floor(random() * to)), String(to)];
  });
  const { places } = layOut(Array.from({ length: 40 }, (_, at) => box(at)), edges);
  for (const [from, to] of edges) assert.ok(places.get(from).x < places.get(to).x);
});

test('the same graph gives the same picture', () => {
  const { boxes, edges } = randomGraph(3);
  assert.deepEqual([...layOut(boxes, edges).places], [...layOut(boxes, edges).places]);
});

test('a step between two others stands on one line with them', () => {
  const { places } = layOut(['a', 'b', 'c'].map(box), [['a', 'b'], ['b', 'c']]);
  assert.equal(new Set([...places.values()].map((place) => place.y)).size, 1);
});

test('a graph of nothing has no size, and edges to what is not there are left out', () => {
  assert.deepEqual(layOut([], []), { places: new Map(), width: 0, height: 0 });
  assert.equal(layOut([box('a')], [['a', 'gone'], ['gone', 'a']]).places.size, 1);
});
