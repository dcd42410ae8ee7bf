import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyText, tenantRows, used } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/limits.js';

const load = (name, members = {}) => ({ name, live: 1, waiting: 2, limit: 3, weight: 1, ...members });
const control = (kind, name) => ({ kind, name, state: 'paused', reason: null, by: null, at: null });

test('a limit is never used by more than all of it', () => {
  assert.deepEqual([used(0, 4), used(1, 4), used(4, 4), used(9, 4), used(0, 0)], [0, 0.25, 1, 1, 1]);
});

test('tenants are those with runs and those that are paused, once each', () => {
  const rows = tenantRows([load('globex'), load('acme')], [control('tenant', 'acme'), control('tenant', 'idle'), control('workflow', 'greet')]);
  assert.deepEqual(rows, [load('acme'), load('globex'), load('idle', { live: 0, waiting: 0, limit: null, weight: null })]);
  assert.deepEqual(tenantRows([], null), []);
});

test('the limit of a key says what happens to the rest', () => {
  assert.equal(keyText({ key: '/parameters/account', limit: 1, when_full: 'queue' }), 'at most 1 live for each account; others wait');
  assert.match(keyText({ key: '/parameters/a', limit: 2, when_full: 'reject' }), /others are rejected$/);
  assert.match(keyText({ key: '/parameters/a', limit: 2, when_full: 'replace' }), /a new one replaces the oldest$/);
});
