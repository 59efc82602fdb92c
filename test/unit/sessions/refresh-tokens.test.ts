import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { ObjectId } from 'mongodb';
import { expect, test } from 'vitest';
import { ServiceKeys } from '../../../src/keys/service-keys.ts';
import { RefreshTokens } from '../../../src/sessions/refresh-tokens.ts';

const SECRET = 'a secret of the tests, long enough to sign with';
const OTHER_SECRET = 'the secret of quite another installation';
const tokens = new RefreshTokens({
  keys: new ServiceKeys({ current: SECRET }),
});
const claim = { sessionId: new ObjectId('66f1c0ffee0ddba11ca75a1e'), generation: 7 };

test.each([0, 1, 255, 256, 2 ** 32 - 1])('generation %i comes back', (generation) => {
  const token = tokens.issue({ ...claim, generation });
  expect(token).toMatch(/^[\w-]{64}$/);
  expect(tokens.open(token)).toEqual({ ...claim, generation });
});

test('is the same each time, and another one for every session and generation', () => {
  const issued = [
    tokens.issue(claim),
    tokens.issue(claim),
    tokens.issue({ ...claim, generation: 8 }),
    tokens.issue({ ...claim, sessionId: new ObjectId('66f1c0ffee0ddba11ca75a1f') }),
  ];
  expect(issued[0]).toBe(issued[1]);
  expect(new Set(issued).size).toBe(3);
});

test('changed in any character opens nothing', () => {
  const token = tokens.issue(claim);
  for (let at = 0; at < token.length; at += 1)
    for (const other of ['A', 'z', '0', '-', '=', ' ', '\0', 'é']) {
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      if (changed !== token) expect(tokens.open(changed)).toBeUndefined();
    }
});

test('sealed under another secret opens nothing', () => {
  const other = new RefreshTokens({
    keys: new ServiceKeys({ current: OTHER_SECRET }),
  });
  expect(tokens.open(other.issue(claim))).toBeUndefined();
  expect(other.open(tokens.issue(claim))).toBeUndefined();
});

test('sealed with the secret itself, as an access token is, opens nothing', () => {
  const payload = Buffer.from(tokens.issue(claim), 'base64url').subarray(0, 16);
  const seal = createHmac('sha256', 'a secret of the tests, long enough to sign with');
  const token = Buffer.concat([payload, seal.update(payload).digest()]).toString('base64url');
  expect(tokens.open(token)).toBeUndefined();
});

test('any other text opens nothing, and breaks nothing', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ minLength: 64, maxLength: 64 }),
    fc.base64String({ minLength: 64, maxLength: 64 }),
  );
  fc.assert(
    fc.property(text, (given) => {
      expect(tokens.open(given)).toBeUndefined();
    }),
    { seed: 4, numRuns: 1_000 },
  );
});

test('a token made under a secret that has been replaced is good as long as that secret is kept', () => {
  const replaced = new RefreshTokens({
    keys: new ServiceKeys({ current: OTHER_SECRET, previous: [SECRET] }),
  });
  const claim = { sessionId: new ObjectId(), generation: 3 };
  expect(replaced.open(tokens.issue(claim))).toEqual(claim);
  expect(tokens.open(replaced.issue(claim))).toBeUndefined();
});
