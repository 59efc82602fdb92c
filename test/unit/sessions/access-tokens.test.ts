import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { AccessTokens } from '../../../src/sessions/access-tokens.ts';
import { InvalidTokenError, TokenExpiredError } from '../../../src/sessions/session-errors.ts';
import type { TokenKeys } from '../../../src/sessions/token-signatures.ts';
import {
  decodeSegment,
  encode,
  forge as forgeWith,
  hmac,
  jwkOf,
  keySet,
  keySignature,
  makeKey,
  type TestKey,
} from '../../support/tokens.ts';

const SECRET = 'a secret of the tests, long enough to sign with';
const NOW = new Date('2026-11-23T12:00:00.500Z');
const IAT = 1_795_435_200;
const ID = '66f1c0ffee0ddba11ca75a1e';

let now = NOW;

function accessTokens(keys: TokenKeys, names: { issuer?: string; audience?: string } = {}) {
  const clock = { now: () => now, monotonicMs: () => now.getTime() };
  return new AccessTokens({
    ...{ keys, issuer: 'tenantry', audience: 'tenantry', ttlSeconds: 3_600, clock },
    ...names,
  });
}

const tokens = accessTokens({ secrets: [SECRET] });

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

/** With HS256, whatever the header says. */
function forge(claims: unknown, header: object = {}, secret = SECRET, digest = 'sha256'): string {
  return forgeWith({ alg: 'HS256', typ: 'JWT', ...header }, claims, hmac(secret, digest));
}

function expectInvalid(token: string, by = tokens): void {
  expect(() => by.verify(token)).toThrow(InvalidTokenError);
}

describe('a token', () => {
  test('says who, where, in what role, and how long', () => {
    const issued = tokens.issue(SUBJECT, NOW);
    expect(tokens.verify(issued)).toEqual(CLAIMS);
    expect(decodeSegment(issued, 0)).toEqual({
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
    for (const more of ['A', 'AAAA', signature, '=', '\n', ' ', '.', `.${signature}`])
      expectInvalid(`${header}.${payload}.${signature}${more}`);
  });

  test('with bits that no byte has room for are refused', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (const last of alphabet.replace(signature.slice(-1), ''))
      expectInvalid(`${header}.${payload}.${signature.slice(0, -1)}${last}`);
  });

  test('of another payload or header are refused', () => {
    const other = encode({ ...CLAIMS, org_id: ID });
    expectInvalid(`${header}.${other}.${signature}`);
    expectInvalid(`${encode({ alg: 'HS256' })}.${payload}.${signature}`);
  });
});

describe('claims', () => {
  test('may be of a clock that is a minute ahead', () => {
    for (const ahead of [{ iat: IAT + 60 }, { nbf: IAT + 60 }])
      expect(tokens.verify(forge({ ...CLAIMS, ...ahead }))).toMatchObject(ahead);
  });

  test('name the issuer and the audience of the settings', () => {
    const names = { issuer: 'https://auth.acme.example/', audience: 'acme' };
    const others = accessTokens({ secrets: [SECRET] }, names);
    const issued = others.issue(SUBJECT, NOW);
    expect(others.verify(issued)).toMatchObject({ iss: names.issuer, aud: names.audience });
    expectInvalid(issued);
    expectInvalid(forge(CLAIMS), others);
    expectInvalid(forge({ ...CLAIMS, iss: names.issuer }), others);
    expectInvalid(forge({ ...CLAIMS, aud: names.audience }), others);
  });

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
    ['an expiry beyond all time', { exp: 1e300 }],
    ['an expiry of a year with five digits', { exp: 253_402_300_800 }],
    ['a negative time of issue', { iat: -1 }],
    ['a time of issue more than a minute ahead', { iat: IAT + 62 }],
    ['a beginning more than a minute ahead', { nbf: IAT + 62 }],
    ['a beginning beyond all time', { nbf: 1e300 }],
    ['a text for the beginning', { nbf: '1' }],
    ['a subject that is somebody else', { sub: '66f1c0ffee0ddba11ca75a1f' }],
    ['an empty name of their own', { jti: '' }],
    ['a number for a name of their own', { jti: 1 }],
    ['another case of the audience', { aud: 'Tenantry' }],
    ['an audience that begins like ours', { aud: 'tenantry.evil.example' }],
    ['an object that looks like an audience', { aud: { toString: 'tenantry' } }],
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

describe('headers', () => {
  const jwk = jwkOf(makeKey('EdDSA'));
  test.each([
    ['jku', 'https://evil.example/keys'],
    ['jwk', jwk],
    ['x5u', 'https://evil.example/cert'],
    ['x5c', ['MII']],
    ['x5t', 'abc'],
    ['crit', ['exp']],
    ['crit', []],
    ['crit', null],
    ['b64', false],
    ['zip', 'DEF'],
    ['enc', 'A128GCM'],
    ['cty', 'JWT'],
    ['kid', ''],
    ['kid', '../../../../dev/null'],
    ['kid', '__proto__'],
    ['kid', null],
    ['kid', ['undefined']],
    ['typ', 'at+jwt'],
    ['typ', 'dpop+jwt'],
    ['typ', null],
  ])('that say %s: %j are refused, however well signed', (name, value) => {
    expectInvalid(forge(CLAIMS, { [name]: value }));
  });

  test('with a prototype, or that are no object, are refused', () => {
    for (const header of ['{"alg":"HS256","__proto__":{}}', '["HS256"]', '"HS256"', 'null', '1'])
      expectInvalid(forgeWith(header, CLAIMS, hmac(SECRET)));
  });

  test('may leave out that it is a JWT', () => {
    expect(tokens.verify(forge(CLAIMS, { typ: undefined }))).toEqual(CLAIMS);
  });
});

describe('a secret', () => {
  const OLD = 'the secret of last year, long enough to sign with';
  const rotated = accessTokens({ secrets: [SECRET, OLD] });

  test('that was replaced verifies, and does not sign', () => {
    const old = accessTokens({ secrets: [OLD] });
    expect(rotated.verify(old.issue(SUBJECT, NOW))).toEqual(CLAIMS);
    expectInvalid(rotated.issue(SUBJECT, NOW), old);
    expect(tokens.verify(rotated.issue(SUBJECT, NOW))).toEqual(CLAIMS);
  });

  test('that was replaced is held to the same rules', () => {
    expectInvalid(forge({ ...CLAIMS, aud: 'somebody' }, {}, OLD), rotated);
    expectInvalid(forge(CLAIMS, {}, `${OLD} `), rotated);
    expect(() => rotated.verify(forge({ ...CLAIMS, exp: 1 }, {}, OLD))).toThrow(TokenExpiredError);
  });

  test('that looks like a key is still a secret', () => {
    const { publicPem } = makeKey('ES256');
    const odd = accessTokens({ secrets: [publicPem] });
    expect(odd.verify(odd.issue(SUBJECT, NOW))).toEqual(CLAIMS);
  });
});

describe.each(['ES256', 'EdDSA'] as const)('keys for %s', (algorithm) => {
  const key = makeKey(algorithm);
  const next = makeKey(algorithm);
  const other = makeKey(algorithm === 'EdDSA' ? 'ES256' : 'EdDSA');
  const keyed = accessTokens({ keys: keySet(key.privatePem) });
  const header = (of: TestKey) => ({ alg: of.algorithm, typ: 'JWT', kid: of.kid });

  test('sign tokens that name them', () => {
    const issued = keyed.issue(SUBJECT, NOW);
    expect(keyed.verify(issued)).toEqual(CLAIMS);
    expect(decodeSegment(issued, 0)).toEqual(header(key));
  });

  test('verify what was made by hand as RFC 7515 says', () => {
    expect(keyed.verify(forgeWith(header(key), CLAIMS, keySignature(key)))).toEqual(CLAIMS);
  });

  test('are published, the one that signs first', () => {
    const keys = keySet(next.privatePem, other.privatePem, key.publicPem);
    const published = accessTokens({ keys }).publicKeys;
    expect(published).toEqual([next, other, key].map(jwkOf));
    expect(JSON.stringify(published)).not.toContain('"d"');
    expect(tokens.publicKeys).toEqual([]);
  });

  test('verify as long as they are in the set, in any place, and only the first signs', () => {
    const issued = keyed.issue(SUBJECT, NOW);
    for (const pems of [
      [key.privatePem, next.privatePem],
      [next.privatePem, key.privatePem],
      [other.privatePem, next.privatePem, key.publicPem],
    ])
      expect(accessTokens({ keys: keySet(...pems) }).verify(issued)).toEqual(CLAIMS);
    expectInvalid(issued, accessTokens({ keys: keySet(next.privatePem) }));
    const rotated = accessTokens({ keys: keySet(next.privatePem, key.privatePem) });
    expect(decodeSegment(rotated.issue(SUBJECT, NOW), 0)).toEqual(header(next));
  });

  test('are not taken for one another, nor for another algorithm', () => {
    const both = accessTokens({ keys: keySet(key.privatePem, other.privatePem) });
    for (const [said, by] of [
      [header(key), other],
      [header(other), key],
      [{ ...header(key), alg: other.algorithm }, key],
      [{ ...header(key), alg: other.algorithm }, other],
      [{ ...header(key), kid: next.kid }, key],
      [{ ...header(key), kid: undefined }, key],
      [{ ...header(key), jwk: jwkOf(next) }, next],
      [header(next), next],
      [{ ...header(key), alg: 'Ed25519' }, key],
      [{ ...header(key), alg: algorithm.toLowerCase() }, key],
    ] as const)
      expectInvalid(forgeWith(said, CLAIMS, keySignature(by)), both);
  });

  test('make HS256 no way in, whether with a secret or with what is public', () => {
    const issued = tokens.issue(SUBJECT, NOW);
    expectInvalid(issued, keyed);
    const der = key.publicKey.export({ type: 'spki', format: 'der' });
    for (const secret of [SECRET, key.publicPem, key.publicPem.trim(), der, jwkOf(key).x, ''])
      for (const said of [header(key), { alg: 'HS256', typ: 'JWT' }])
        expectInvalid(forgeWith({ ...said, alg: 'HS256' }, CLAIMS, hmac(secret)), keyed);
    expectInvalid(keyed.issue(SUBJECT, NOW));
  });

  test('make other bytes no signature', () => {
    const [head = '', payload = '', signature = ''] = keyed.issue(SUBJECT, NOW).split('.');
    const bytes = Buffer.from(signature, 'base64url');
    for (const wrong of [
      Buffer.alloc(0),
      Buffer.alloc(64),
      Buffer.alloc(64, 0xff),
      bytes.subarray(0, -1),
      bytes.subarray(1),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      Buffer.concat([bytes, bytes]),
    ])
      expectInvalid(`${head}.${payload}.${wrong.toString('base64url')}`, keyed);
    expectInvalid(`${head}.${encode({ ...CLAIMS, org_id: ID })}.${signature}`, keyed);
  });
});

test('a signature in DER, as other software writes ECDSA, is refused', () => {
  const key = makeKey('ES256');
  const keyed = accessTokens({ keys: keySet(key.privatePem) });
  const header = { alg: 'ES256', typ: 'JWT', kid: key.kid };
  const der = (input: Buffer) => sign('sha256', input, key.privateKey);
  expectInvalid(forgeWith(header, CLAIMS, der), keyed);
});
