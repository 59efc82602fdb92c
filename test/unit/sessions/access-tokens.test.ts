import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { AccessTokens } from '../../../src/sessions/access-tokens.ts';
import { InvalidTokenError, TokenExpiredError } from '../../../src/sessions/session-errors.ts';

const SECRET = 'a secret of the tests, long enough to sign with';
const NOW = new Date('2026-11-23T12:00:00.500Z');
const IAT = 1_795_435_200;
const ID = '66f1c0ffee0ddba11ca75a1e';

let now = NOW;
const tokens = new AccessTokens({
  secret: SECRET,
  ttlSeconds: 3_600,
  clock: { now: () => now, monotonicMs: () => now.getTime() },
});

const SUBJECT = {
  admin_id: ID,
  email: 'ada@acme.example',
  org_id: '66f1c0ffee0ddba11ca75a1f',
  organization: 'Acme GmbH',
  role: 'owner' as const,
  sid: '66f1c0ffee0ddba11ca75a20',
  jti: 'one of a kind',
};
const CLAIMS = {
  iss: 'tenantry',
  aud: 'tenantry',
  sub: ID,
  ...SUBJECT,
  iat: IAT,
  exp: IAT + 3_600,
};

function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString(
    'base64url',
  );
}

/** A token made by hand, so that it may say and be signed whatever a test wants. */
function forge(claims: unknown, header: object = {}, secret = SECRET, digest = 'sha256'): string {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(claims)}`;
  return `${signed}.${createHmac(digest, secret).update(signed).digest('base64url')}`;
}

function expectInvalid(token: string): void {
  expect(() => tokens.verify(token)).toThrow(InvalidTokenError);
}

describe('a token', () => {
  test('says who, where, in what role, and how long', () => {
    const issued = tokens.issue(SUBJECT, NOW);
    expect(tokens.verify(issued)).toEqual(CLAIMS);
    expect(JSON.parse(Buffer.from(issued.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'HS256',
      typ: 'JWT',
    });
  });

  test('made by hand as RFC 7515 says is the same', () => {
    expect(tokens.verify(forge(CLAIMS))).toEqual(CLAIMS);
  });

  test('is the same for the same pair, so that a double submit gets it again', () => {
    expect(tokens.issue(SUBJECT, NOW)).toBe(tokens.issue(SUBJECT, NOW));
  });

  test('expires by the clock it was given, to the second', () => {
    const issued = tokens.issue(SUBJECT, NOW);
    now = new Date((IAT + 3_600) * 1_000 - 1);
    expect(tokens.verify(issued)).toEqual(CLAIMS);
    now = new Date((IAT + 3_600) * 1_000);
    expect(() => tokens.verify(issued)).toThrow(TokenExpiredError);
    now = NOW;
  });

  test('that was forged is not said to be expired', () => {
    expectInvalid(forge({ ...CLAIMS, exp: 1 }, {}, 'another secret'));
    expect(() => tokens.verify(forge({ ...CLAIMS, exp: 1 }))).toThrow(TokenExpiredError);
  });
});

describe('signatures', () => {
  const [header = '', payload = '', signature = ''] = forge(CLAIMS).split('.');

  test.each(['none', 'None', 'NONE', 'nOnE', ''])('alg %j is refused', (alg) => {
    const unsigned = `${encode({ alg, typ: 'JWT' })}.${payload}`;
    expectInvalid(`${unsigned}.`);
    expectInvalid(unsigned);
    expectInvalid(`${unsigned}.${signature}`);
    expectInvalid(forge(CLAIMS, { alg }));
  });

  test.each([
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
    ['hs256', 'sha256'],
    ['RS256', 'sha256'],
    ['ES256', 'sha256'],
  ])('%s with the right secret is refused', (alg, digest) => {
    expectInvalid(forge(CLAIMS, { alg }, SECRET, digest));
  });

  test('a key of another kind that the token brings along is refused', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const jwk = publicKey.export({ format: 'jwk' });
    const signed = `${encode({ alg: 'EdDSA', typ: 'JWT', jwk })}.${payload}`;
    expectInvalid(`${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`);
  });

  test('with another secret, or none, are refused', () => {
    for (const secret of ['', 'another secret', `${SECRET} `, SECRET.slice(0, -1)])
      expectInvalid(forge(CLAIMS, {}, secret));
  });

  test('cut short at any place, or made longer, are refused', () => {
    for (let length = 0; length < signature.length; length += 1)
      expectInvalid(`${header}.${payload}.${signature.slice(0, length)}`);
    for (const more of ['A', 'AAAA', signature])
      expectInvalid(`${header}.${payload}.${signature}${more}`);
  });

  test('of another payload or header are refused', () => {
    const other = encode({ ...CLAIMS, org_id: ID });
    expectInvalid(`${header}.${other}.${signature}`);
    expectInvalid(`${encode({ alg: 'HS256' })}.${payload}.${signature}`);
  });
});

describe('claims', () => {
  test.each([
    ['another issuer', { iss: 'somebody' }],
    ['several issuers', { iss: ['tenantry'] }],
    ['another audience', { aud: 'somebody' }],
    ['several audiences', { aud: ['tenantry', 'somebody'] }],
    ['an object for an id', { org_id: { $gt: '' } }],
    ['a list for an id', { admin_id: [ID] }],
    ['an id that is none', { sid: 'x' }],
    ['an id in capitals', { sid: ID.toUpperCase() }],
    ['an id with a line break', { org_id: `${ID}\n` }],
    ['a role that is no text', { role: ['owner'] }],
    ['a text for an expiry', { exp: '9999999999' }],
    ['a fraction for an expiry', { exp: IAT + 0.5 }],
    ['a negative expiry', { exp: -1 }],
    ['no number for an expiry', { exp: null }],
    ['a text for the time of issue', { iat: 'now' }],
  ])('with %s are refused', (_, changed) => {
    expectInvalid(forge({ ...CLAIMS, ...changed }));
  });

  test.each(Object.keys(CLAIMS))('without %s are refused', (claim) => {
    const { [claim]: _, ...rest } = CLAIMS as Record<string, unknown>;
    expectInvalid(forge(rest));
  });

  test.each([null, [], [CLAIMS], 'text', 1, true, '', '{', 'null'])(
    'that are %j are refused',
    (claims) => {
      expectInvalid(forge(claims));
    },
  );

  test('that were encrypted, or are no token at all, are refused', () => {
    for (const text of [
      '',
      '.',
      '..',
      '...',
      'a.b',
      'a.b.c',
      'a.b.c.d.e',
      '\0',
      'é.é.é',
      '{}.{}.{}',
    ])
      expectInvalid(text);
  });
});
