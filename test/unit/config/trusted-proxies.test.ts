import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/config.ts';
import { faultsOf, namesOfFaults } from './config-faults.ts';

const trustProxy = (TRUST_PROXY: string) => parseConfig({ TRUST_PROXY }).config.trustProxy;

describe('TRUST_PROXY', () => {
  test('is nobody by default', () => {
    expect(parseConfig({}).config).not.toHaveProperty('trustProxy');
    expect(trustProxy('')).toBeUndefined();
  });

  test.each([
    ['1', 1],
    ['10', 10],
    ['10.0.0.7', ['10.0.0.7']],
    ['10.0.0.7,10.1.0.0/16', ['10.0.0.7', '10.1.0.0/16']],
    [' 10.0.0.7 , 2001:db8::/32 ', ['10.0.0.7', '2001:db8::/32']],
    ['::1', ['::1']],
    ['10.0.0.0/32', ['10.0.0.0/32']],
    ['2001:db8::1/128', ['2001:db8::1/128']],
  ])('may be %j', (value, read) => {
    expect(trustProxy(value)).toEqual(read);
  });

  test.each([
    '0',
    '11',
    '01',
    '-1',
    '1.5',
    '99999999999999999999',
    'false',
    'loopback',
    'proxy.example.com',
    '10.0.0.7,',
    ',',
    '10.0.0.7;10.0.0.8',
    '10.0.0.256',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/08',
    '10.0.0.0/255.0.0.0',
    '2001:db8::/129',
    'fe80::1%eth0',
    '[::1]',
    '10.0.0.7:80',
  ])('is not %j', (value) => {
    expect(namesOfFaults({ TRUST_PROXY: value })).toEqual(['TRUST_PROXY']);
  });

  test.each(['true', 'TRUE', '*', 'yes', 'all', '0.0.0.0/0', '::/0', '10.0.0.7, 0.0.0.0/00'])(
    'is not %j, and why is said',
    (value) => {
      const [fault] = faultsOf({ TRUST_PROXY: value });
      expect(fault?.message).toMatch(/make up its address/);
    },
  );
});

describe('RATE_LIMITS', () => {
  test('are on unless they are switched off, which is warned of', () => {
    expect(parseConfig({}).config.rateLimits).toBe(true);
    expect(parseConfig({ RATE_LIMITS: 'on' })).toMatchObject({
      config: { rateLimits: true },
      warnings: [],
    });
    expect(parseConfig({ RATE_LIMITS: 'off' })).toMatchObject({
      config: { rateLimits: false },
      warnings: [expect.stringMatching(/^RATE_LIMITS is off/)],
    });
  });

  test.each(['false', '0', 'OFF', 'no', ' off'])('are not %j', (value) => {
    expect(namesOfFaults({ RATE_LIMITS: value })).toEqual(['RATE_LIMITS']);
  });
});
