import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HISTORY, usualDuration, usualEnd } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/usual.js';

const START = Date.UTC(2026, 0, 1);
const at = (seconds) => new Date(START + seconds * 1000).toISOString();
const ran = (id, seconds, members = {}) => ({ id, tenant: 'default', attempt: 1, started_at: at(0), finished_at: at(seconds), ...members });
const SELF = { id: 'self', tenant: 'default' };

test('the usual time is the median, which a run that hung does not change', () => {
  assert.equal(usualDuration([ran('a', 40), ran('b', 9000), ran('c', 42)], SELF), 42_000);
  assert.equal(usualDuration([ran('a', 40), ran('b', 9000), ran('c', 42), ran('d', 44)], SELF), 43_000);
});

test('fewer than three runs say nothing', () => {
  assert.equal(usualDuration([], SELF), null);
  assert.equal(usualDuration([ran('a', 40), ran('b', 41)], SELF), null);
  const others = [ran('a', 40), ran('b', 41)];
  for (const member of [{ attempt: 2 }, { started_at: null }, { finished_at: null }]) {
    assert.equal(usualDuration([...others, ran('c', 42, member)], SELF), null);
  }
});

test('a run is not its own history, and one of the same id of another tenant is', () => {
  const others = [ran('a', 40), ran('b', 41)];
  assert.equal(usualDuration([ran('self', 42), ...others], SELF), null);
  assert.equal(usualDuration([ran('self', 42, { tenant: 'acme' }), ...others], SELF), 41_000);
});

test('only the last twenty count', () => {
  const last = Array.from({ length: 20 }, (_, number) => ran(`r${number}`, 10));
  const older = Array.from({ length: 30 }, (_, number) => ran(`o${number}`, 100));
  assert.equal(usualDuration([ran('self', 1), ...last, ...older], SELF), 10_000);
  assert.equal(HISTORY, 21);
});

test('a live run has a usual end, and takes longer than usual behind it', () => {
  const live = { attempt: 1, started_at: at(0), finished_at: null, terminal: false };
  assert.deepEqual(usualEnd(live, 42_000, START + 42_000), { end: START + 42_000, isLonger: false });
  assert.deepEqual(usualEnd(live, 42_000, START + 42_001), { end: START + 42_000, isLonger: true });
});

test('a run that is over, or has not begun, or has no history is compared with nothing', () => {
  const nothing = { end: null, isLonger: false };
  const late = START + 1_000_000;
  assert.deepEqual(usualEnd({ attempt: 1, started_at: at(0), finished_at: at(50), terminal: true }, 42_000, late), nothing);
  // A state that a run has had is shown as it was then.
  assert.deepEqual(usualEnd({ attempt: 1, started_at: at(0), finished_at: at(50), terminal: false }, 42_000, late), nothing);
  assert.deepEqual(usualEnd({ attempt: 1, started_at: at(0), finished_at: null, terminal: true }, 42_000, late), nothing);
  assert.deepEqual(usualEnd({ attempt: 1, started_at: null, finished_at: null, terminal: false }, 42_000, late), nothing);
  const live = { attempt: 1, started_at: at(0), finished_at: null, terminal: false };
  assert.deepEqual(usualEnd(live, null, late), nothing);
  assert.deepEqual(usualEnd({ ...live, attempt: 2 }, 42_000, late), nothing);
});
