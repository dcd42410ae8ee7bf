import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countChanged, resultOf } from '../../../services/gateway/src/sluice_gateway/static/dashboard/lib/effects.js';

const COUNTS = { Accepted: 1, Running: 2, Failed: 4, Succeeded: 8, Deleted: 16 };
const NOT_APPLICABLE = { type: 'urn:sluice:problem:not-applicable' };

test('only runs that a command may change are counted', () => {
  assert.equal(countChanged('stop', COUNTS, []), 3);
  assert.equal(countChanged('stop', COUNTS, ['Running', 'Failed']), 2);
  assert.equal(countChanged('retry', COUNTS, []), 4);
  assert.equal(countChanged('stop', null, []), 0);
});

test('runs that had ended are not said to be commanded', () => {
  const items = [
    { status: 202, phase: 'Running', problem: null },
    { status: 202, phase: null, problem: null },
    { status: 202, phase: 'Failed', problem: null },
    { status: 409, phase: null, problem: NOT_APPLICABLE },
  ];
  assert.deepEqual(resultOf('stop', items), { text: '2 commands are on their way, 2 had ended already.', bad: false });
  assert.deepEqual(resultOf('retry', items), { text: '2 commands are on their way, 2 had not failed.', bad: false });
  const refused = { status: 503, phase: null, problem: { type: 'urn:sluice:problem:unavailable' } };
  assert.deepEqual(resultOf('stop', [items[0], refused]), { text: '1 commands are on their way, 1 were refused.', bad: true });
});
