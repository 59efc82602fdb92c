import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { readDuration } from '../../../src/config/duration.ts';
import { faultsOf } from './config-faults.ts';

test.each([
  ['0', 0],
  ['90', 90],
  ['90s', 90],
  ['15m', 900],
  ['12h', 43_200],
  ['7d', 604_800],
])('%s is %i seconds', (text, seconds) => {
  expect(readDuration(text)).toBe(seconds);
  expect(parseConfig({ DELETE_GRACE: text }).config.deleteGraceSeconds).toBe(seconds);
});

test.each(['7 d', '-1', '1.5d', '07', 'd', '7w', '1e3', '', '7D', '9999999999', '٧d'])(
  '%j is no duration',
  (text) => {
    expect(readDuration(text)).toBeUndefined();
  },
);

test.each(['7 days', '-1', '367d', '999999999d'])('DELETE_GRACE=%s is a fault', (DELETE_GRACE) => {
  expect(faultsOf({ DELETE_GRACE })).toMatchObject([{ name: 'DELETE_GRACE' }]);
});
