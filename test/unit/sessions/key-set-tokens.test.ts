import { describe, expect, test } from 'vitest';
import { AccessTokens } from '../../../src/sessions/access-tokens.ts';
import { KeySetTokens, KeySetUnavailableError } from '../../../src/sessions/key-set-tokens.ts';
import { InvalidTokenError, TokenExpiredError } from '../../../src/sessions/session-errors.ts';
import { forge, hmac, jwkOf, keySet, keySignature, makeKey } from '../../support/tokens.ts';

const NOW = new Date('2026-11-23T12:00:00Z');
const ID = '66f1c0ffee0ddba11ca75a1e';
const SUBJECT = {
  ...{ admin_id: ID, email: 'ada@acme.example', org_id: ID, organization: 'Acme GmbH' },
  ...{ role: 'owner', sid: ID, jti: 'one of a kind' },
};
const NAMES = { issuer: 'tenantry', audience: 'tenantry' };
const ONE = makeKey('EdDSA');
const TWO = makeKey('ES256');
const clock = { now: () => NOW, monotonicMs: () => NOW.getTime() };
const issuing = (key = ONE, names = {}) =>
  new AccessTokens({
    ...{ keys: { keys: keySet(key.privatePem) }, ...NAMES, ...names, ttlSeconds: 3_600, clock },
  });
const keys = { keys: [jwkOf(ONE), jwkOf(TWO)].map((one) => ({ ...one })) };
const verifying = (set: URL | typeof keys = keys) =>
  new KeySetTokens({ keys: set, ...NAMES, clock });

describe('a key set', () => {
  test.for([ONE, TWO])('verifies the tokens of each of its keys: $algorithm', async (key) => {
    const token = issuing(key).issue(SUBJECT, NOW);
    expect(await verifying().verify(token)).toMatchObject({ ...SUBJECT, iss: 'tenantry' });
  });

  test('refuses what has expired, by the very second', async () => {
    const at = (ago: number) => issuing().issue(SUBJECT, new Date(NOW.getTime() - ago * 1_000));
    await verifying().verify(at(3_599));
    for (const ago of [3_600, 4_000])
      await expect(verifying().verify(at(ago))).rejects.toThrow(TokenExpiredError);
  });

  test('refuses every other token', async () => {
    const claims = { ...SUBJECT, ...{ iss: 'tenantry', aud: 'tenantry', sub: ID } };
    const times = { iat: NOW.getTime() / 1_000, exp: NOW.getTime() / 1_000 + 60 };
    const good = { ...claims, ...times };
    const header = { alg: 'EdDSA', typ: 'JWT', kid: ONE.kid };
    const sign = keySignature(ONE);
    const stranger = makeKey('EdDSA');
    await verifying().verify(forge(header, good, sign));
    for (const token of [
      '',
      'abc',
      issuing(makeKey('EdDSA')).issue(SUBJECT, NOW),
      issuing(ONE, { issuer: 'else' }).issue(SUBJECT, NOW),
      issuing(ONE, { audience: 'else' }).issue(SUBJECT, NOW),
      issuing().issue(SUBJECT, new Date(NOW.getTime() + 120_000)),
      forge({ ...header, alg: 'none' }, good, () => Buffer.alloc(0)),
      forge({ ...header, alg: 'HS256' }, good, hmac(ONE.publicPem)),
      forge({ ...header, crit: ['exp'] }, good, sign),
      forge({ ...header, jwk: jwkOf(stranger) }, good, keySignature(stranger)),
      forge({ ...header, kid: TWO.kid }, good, sign),
      forge(header, { ...good, sub: 'else' }, sign),
      forge(header, { ...good, exp: undefined }, sign),
      forge(header, 'no JSON', sign),
    ])
      await expect(verifying().verify(token), token).rejects.toThrow(InvalidTokenError);
  });

  test("that cannot be fetched is not the token's fault", async () => {
    const nowhere = verifying(new URL('http://127.0.0.1:1/jwks.json'));
    const token = issuing().issue(SUBJECT, NOW);
    await expect(nowhere.verify(token)).rejects.toThrow(KeySetUnavailableError);
  });
});
