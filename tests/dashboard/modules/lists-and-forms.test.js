import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lines } from '../../../services/gateway/src/sluice_gateway/static/dashboard/data/follow.js';
import { NONE, asQuery, read, saveView, savedViews, shows, write } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/filters.js';
import { begin, fieldsOf, valuesOf } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/form.js';
import { ago, curlLine, duration, quoted } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/format.js';
import { OrderedRuns, joined, keyOf } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/lists.js';
import { randomFrom } from './random.js';

test('lines are the same however the text is cut', () => {
  const text = '{"a":1}\n\n{"b":"\\n"}\n{"c":3}\n';
  for (let seed = 0; seed < 50; seed += 1) {
    const random = randomFrom(seed);
    const lines = new Lines();
    const found = [];
    for (let at = 0; at < text.length;) {
      const size = 1 + Math.floor(random() * 5);
      found.push(...lines.push(text.slice(at, at + size)));
      at += size;
    }
    assert.deepEqual(found, ['{"a":1}', '{"b":"\\n"}', '{"c":3}']);
  }
});

test('runs are in order and once each, whatever comes first', () => {
  for (let seed = 0; seed < 100; seed += 1) {
    const random = randomFrom(seed);
    const runs = new OrderedRuns((run) => run.phase !== 'Failed');
    const known = new Map();
    for (let count = 0; count < 200; count += 1) {
      const number = Math.floor(random() * 40);
      const run = { id: `r${number}`, tenant: 'default', at: number % 5, phase: random() < 0.3 ? 'Failed' : 'Running' };
      known.set(keyOf(run), run);
      runs.put(run);
    }
    const expected = [...known.values()].filter((run) => run.phase !== 'Failed')
      .sort((a, b) => b.at - a.at || (keyOf(a) < keyOf(b) ? 1 : -1));
    assert.deepEqual(runs.rows, expected);
    runs.add([{ ...expected[0], phase: 'Failed' }]);
    assert.deepEqual(runs.rows, expected, 'what is known is not replaced by an older page');
  }
});

test('filters come back from the address that they make', () => {
  const filters = { ...NONE, phase: ['Failed', 'Error'], label: ['team=a', 'env!=dev'], q: 'a b&c', since: '1h' };
  assert.deepEqual(read(`?${write(filters)}`), { ...filters, phase: ['Error', 'Failed'], label: ['env!=dev', 'team=a'] });
  assert.equal(write(NONE), '');
  assert.equal(asQuery(filters, Date.UTC(2026, 0, 1)).get('since'), '2025-12-31T23:00:00.000Z');
  assert.ok(shows(filters, { phase: 'Failed' }) && !shows(filters, { phase: 'Running' }) && shows(NONE, { phase: 'Running' }));
});

const SCHEMA = {
  type: 'object', required: ['text'], $defs: { Mode: { type: 'string', enum: ['fast', 'slow'] } },
  properties: {
    workers: { type: 'integer', default: 4, minimum: 1, maximum: 50 },
    text: { type: 'string', maxLength: 100_000 }, short: { type: 'string', maxLength: 20, default: '' },
    mode: { $ref: '#/$defs/Mode', default: 'fast' }, loud: { type: 'boolean', default: true }, more: { type: 'array' },
  },
};

test('a form has a field for each parameter, and sends what its schema takes', () => {
  const fields = fieldsOf(SCHEMA);
  assert.deepEqual(fields.map(({ kind }) => kind), ['number', 'text', 'line', 'choice', 'yes-no', 'json']);
  const begun = valuesOf(fields, begin(fields));
  assert.deepEqual(begun.values, { workers: 4, short: '', mode: 'fast', loud: true });
  assert.deepEqual([...begun.errors], [['text', 'This is required.']]);
  const { values, errors } = valuesOf(fields, { ...begin(fields), workers: 'many', text: 'a\nb', more: '[1', loud: false });
  assert.deepEqual(values, { workers: 'many', text: 'a\nb', short: '', mode: 'fast', loud: false });
  assert.deepEqual([...errors.keys()], ['workers', 'more']);
  for (const workers of ['0', '51', '1.5', '']) {
    const isWrong = valuesOf(fields, { ...begin(fields), text: 'a', workers }).errors.has('workers');
    assert.equal(isWrong, workers !== '', workers);
  }
  assert.ok(valuesOf(fields, { ...begin(fields), text: 'a', short: 'x'.repeat(21) }).errors.has('short'));
  assert.deepEqual(fieldsOf(null), []);
});

test('times have two units at most', () => {
  const texts = [0, 950, 41_000, 185_000, 7_620_000, 360_000_000].map(duration);
  assert.deepEqual(texts, ['< 1 s', '< 1 s', '41 s', '3 min 5 s', '2 h 7 min', '4 d 4 h']);
  assert.deepEqual([1000, 30_000, 3_700_000].map((since) => ago(0, since)), ['now', '30 s ago', '1 h ago']);
});

test('a command for a shell has the text as it is', () => {
  assert.equal(quoted("it's"), "'it'\\''s'");
  assert.equal(quoted('plain-1.txt'), 'plain-1.txt');
  assert.ok(curlLine('http://x', { workflow: 'hello' }).endsWith("-d '{\"workflow\":\"hello\"}'"));
});

test('views are kept under their names, and what cannot be read is left out', () => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  saveView(storage, 'mine', 'phase=Failed');
  assert.deepEqual(savedViews(storage), { mine: 'phase=Failed' });
  assert.deepEqual(saveView(storage, 'mine', null), {});
  storage.setItem('sluice.views', '{');
  assert.deepEqual(savedViews(storage), {});
});

test('a list that is read again from its newest part has no gap and nothing that was decided', () => {
  const letters = Array.from({ length: 60 }, (_, at) => ({ id: `l${at}`, rejected_at: String(100 + at) })).reverse();
  const known = letters.slice(20, 50);
  const newer = joined(known, letters.slice(10, 30));
  assert.deepEqual(newer, { known: letters.slice(10, 50), isWhole: true });
  assert.deepEqual(joined(known, letters.slice(0, 10)), { known: letters.slice(0, 10), isWhole: false });
  const decided = letters.slice(20, 31).filter(({ id }) => id !== letters[25].id);
  assert.ok(!joined(known, decided).known.some(({ id }) => id === letters[25].id));
  assert.equal(joined(known, decided).known.length, 29);
  assert.deepEqual(joined([], []), { known: [], isWhole: false });
});
