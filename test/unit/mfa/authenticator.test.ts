import fc from 'fast-check';
import { expect, test } from 'vitest';
import { authenticatorEntry, stepOfCode } from '../../../src/mfa/authenticator.ts';
import { Authenticator, STEP_MS } from '../../support/authenticator.ts';

/** RFC 6238, appendix B: seconds, and the last six of the eight digits for SHA-1. */
const RFC_VECTORS = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
] as const;
const RFC_SECRET = Buffer.from('12345678901234567890');

test.each(RFC_VECTORS)('at %i s the code is %s (RFC 6238)', (seconds, code) => {
  const now = new Date(seconds * 1_000);
  expect(stepOfCode(RFC_SECRET, code, now)).toBe(Math.floor(seconds / 30));
});

/** Shows codes for the secret, by its own clock. */
function appAt(time: number): Authenticator {
  const about = { issuer: 'Tenantry', label: 'ada@acme.example' };
  const uri = authenticatorEntry(RFC_SECRET, about).otpauth_uri;
  return new Authenticator(uri, { now: () => new Date(time) });
}

test('a code is of the step it was shown in, one step early and late, and of none beyond', () => {
  const start = Date.UTC(2026, 10, 23);
  const time = fc.integer({ min: 0, max: 10 * 365 * 24 * 3_600_000 }).map((ms) => start + ms);
  fc.assert(
    fc.property(time, fc.integer({ min: -4, max: 4 }), (now, skew) => {
      const shown = now + skew * STEP_MS;
      const step = stepOfCode(RFC_SECRET, appAt(shown).code(), new Date(now));
      expect(step).toBe(Math.abs(skew) <= 1 ? Math.floor(shown / STEP_MS) : undefined);
    }),
    // Of a million codes one or the other is the same by chance; with this seed none is.
    { seed: 4, numRuns: 500 },
  );
});

test('the edges of a step, to the millisecond', () => {
  const step = 60_000_000;
  const code = appAt(step * STEP_MS).code();
  const stepAt = (ms: number) => stepOfCode(RFC_SECRET, code, new Date(step * STEP_MS + ms));
  expect(stepAt(-STEP_MS - 1)).toBeUndefined();
  expect(stepAt(-STEP_MS)).toBe(step);
  expect(stepAt(0)).toBe(step);
  expect(stepAt(2 * STEP_MS - 1)).toBe(step);
  expect(stepAt(2 * STEP_MS)).toBeUndefined();
});

test('the URI says what the app has to know, whatever is in the names', () => {
  const label = 'a:d?a&b+c%20@acme.example';
  const entry = authenticatorEntry(RFC_SECRET, { issuer: 'Acme & Söhne: Konto', label });
  expect(entry.secret).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
  const uri = new URL(entry.otpauth_uri);
  expect(uri.protocol).toBe('otpauth:');
  expect(uri.host).toBe('totp');
  expect(decodeURIComponent(uri.pathname)).toBe(`/Acme & Söhne: Konto:${label}`);
  expect(Object.fromEntries(uri.searchParams)).toEqual({
    ...{ issuer: 'Acme & Söhne: Konto', secret: entry.secret },
    ...{ algorithm: 'SHA1', digits: '6', period: '30' },
  });
});
