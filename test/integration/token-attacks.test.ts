import { sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem } from '../support/api.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';
import {
  decodeSegment,
  encode,
  forge,
  hmac,
  jwkOf,
  keySet,
  keySignature,
  makeKey,
} from '../support/tokens.ts';

/** The order of the group of P-256 (SEC 2, 2.4.2) and of Ed25519 (RFC 8032, 5.1). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The keys of the services, and one that none of them knows. */
const keys = { ES256: makeKey('ES256'), EdDSA: makeKey('EdDSA') };
const strangers = { ES256: makeKey('ES256'), EdDSA: makeKey('EdDSA') };

type Json = Record<string, unknown>;

describe.each(['HS256', 'ES256', 'EdDSA'] as const)('a service that signs with %s', (alg) => {
  let service: TestService;
  let api: Api;
  let acme: SignedUp;
  let other: SignedUp;
  let good: string;
  let header: Json;
  let claims: Json;
  let signer: (input: Buffer) => Buffer;
  beforeAll(async () => {
    const settings = alg === 'HS256' ? {} : { signingKeys: keySet(keys[alg].privatePem) };
    service = await startTestService({ settings });
    api = apiOf(service);
    acme = await signUpAndIn(service);
    other = await signUpAndIn(service);
    good = acme.tokens.access_token;
    header = decodeSegment(good, 0);
    claims = decodeSegment(good, 1);
    signer = alg === 'HS256' ? hmac(service.settings.jwtSecret) : keySignature(keys[alg]);
  });
  afterAll(() => service?.[Symbol.asyncDispose]());

  /** Signed with the right key. */
  const signed = (change: Json, headerChange: Json = {}) =>
    forge({ ...header, ...headerChange }, { ...claims, ...change }, signer);

  /** Neither where a token is needed nor where it is welcome. */
  async function expectRefused(token: string, code = 'invalid_token'): Promise<void> {
    const options = bearer({ access_token: token });
    for (const response of [
      await api.get(acme.organization.organization_name, options),
      await api.update({ metadata: { owned: true } }, options),
      await api.remove(options),
      await api.logout(options),
    ]) {
      expectProblem(response, 401, code);
      expect(response.headers['www-authenticate']).toBe(
        'Bearer realm="tenantry", error="invalid_token"',
      );
    }
  }

  test('takes what its own key has signed, so that the refusals below mean something', async () => {
    expect(header.alg).toBe(alg);
    for (const token of [good, signed({}), signed({ jti: 'another' })])
      expectStatus(await api.get(undefined, bearer({ access_token: token })), 200);
  });

  test.each(['none', 'None', 'NONE', 'nOnE', ' none', 'none\0', '', null, 0, false, [], ['none']])(
    'refuses alg %j, with and without a signature',
    async (none) => {
      const [, payload = '', signature = ''] = good.split('.');
      for (const head of [
        { alg: none, typ: 'JWT' },
        { ...header, alg: none },
      ]) {
        await expectRefused(`${encode(head)}.${payload}.`);
        await expectRefused(`${encode(head)}.${payload}.${signature}`);
        await expectRefused(forge(head, claims, signer));
        const response = await api.get(undefined, bearer({ access_token: encode(head) }));
        expectProblem(response, 401, 'invalid_token');
      }
    },
  );

  test.each([
    ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ...['ES256', 'ES256K', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'Ed448', 'hS256', 'hs256'],
    ...['es256', 'Es256', 'eddsa', 'EDDSA', 'HS256 ', 'dir', 'A128KW', 'constructor', '__proto__'],
  ])('refuses alg %s for its own', async (said) => {
    if (said === alg) return;
    await expectRefused(signed({}, { alg: said }));
    const digest = /512$/.test(said) ? 'sha512' : /384$/.test(said) ? 'sha384' : 'sha256';
    await expectRefused(
      forge({ ...header, alg: said }, claims, hmac(service.settings.jwtSecret, digest)),
    );
  });

  test('takes no public key for a secret, in any of its forms', async () => {
    for (const key of Object.values(keys)) {
      const der = key.publicKey.export({ type: 'spki', format: 'der' });
      const jwk = jwkOf(key);
      const forms = [
        ...[key.publicPem, key.publicPem.trim(), key.publicPem.replaceAll('\n', '\\n')],
        ...[der, der.toString('base64'), der.toString('base64url'), der.subarray(-32)],
        ...[JSON.stringify(jwk), JSON.stringify({ keys: [jwk] }), jwk.x, jwk.kid],
        Buffer.from(jwk.x, 'base64url'),
      ];
      for (const secret of forms)
        for (const head of [
          { alg: 'HS256', typ: 'JWT' },
          { ...header, alg: 'HS256' },
        ])
          await expectRefused(forge({ ...head }, claims, hmac(secret)));
    }
  });

  test('takes no signature of another key, whoever is named', async () => {
    for (const key of [...Object.values(strangers), ...Object.values(keys)]) {
      if (key === keys[alg as 'ES256']) continue;
      const own = { alg: key.algorithm, typ: 'JWT', kid: key.kid };
      for (const head of [own, { ...own, kid: header.kid }, { ...header }, { alg: key.algorithm }])
        await expectRefused(forge(head, claims, keySignature(key)));
    }
    for (const secret of ['', 'secret', `${service.settings.jwtSecret} `, '\0'.repeat(64)])
      await expectRefused(forge({ alg: 'HS256', typ: 'JWT' }, claims, hmac(secret)));
  });

  test.each([
    ...['', ' ', '0', 'undefined', 'null', '../../../../../../dev/null', '/dev/null', '\0'],
    ...["' UNION SELECT 'key' -- ", '__proto__', 'constructor', 'toString', '$ne', 'é', '|ls'],
    ...['k'.repeat(4_000), 0, 1, true, null, [], {}, { $gt: '' }, ['__proto__']],
  ])('refuses kid %j, also with keys that attackers know', async (kid) => {
    await expectRefused(signed({}, { kid }));
    for (const secret of ['', 'key', '\0', 'undefined', String(kid)])
      await expectRefused(forge({ alg: 'HS256', typ: 'JWT', kid }, claims, hmac(secret)));
    for (const key of Object.values(strangers))
      await expectRefused(forge({ alg: key.algorithm, kid }, claims, keySignature(key)));
  });

  test('refuses a kid that only begins or ends like its own', async () => {
    const kid = String(header.kid ?? keys.ES256.kid);
    for (const wrong of [kid.slice(1), `${kid}=`, ` ${kid}`, `${kid}\0`, kid.toLowerCase(), [kid]])
      await expectRefused(signed({}, { kid: wrong }));
  });

  test('goes by no key that a token brings along or points to', async () => {
    for (const key of Object.values(strangers)) {
      const jwk = jwkOf(key);
      const url = 'http://127.0.0.1:9/jwks.json';
      for (const extra of [
        ...[{ jwk }, { jku: url }, { x5u: url }, { x5c: [key.publicPem] }, { jwk, jku: url }],
        ...[{ x5t: 'AA' }, { 'x5t#S256': 'AA' }],
      ])
        for (const head of [{ ...header }, { alg: key.algorithm, typ: 'JWT', kid: key.kid }]) {
          await expectRefused(forge({ ...head, ...extra }, claims, keySignature(key)));
          await expectRefused(signed({}, extra));
        }
    }
    for (const crit of [['exp'], ['b64'], ['kid'], [], 'exp', null, ['x', 'x']])
      await expectRefused(signed({}, { crit, b64: true, exp: 1 }));
  });

  test('refuses a signature that is empty, cut short or made longer', async () => {
    const [head = '', payload = '', signature = ''] = good.split('.');
    const lengths = [0, 1, 2, 3, 4, 20, signature.length - 2, signature.length - 1];
    for (const length of lengths)
      await expectRefused(`${head}.${payload}.${signature.slice(0, length)}`);
    for (const more of ['A', 'AA', 'AAAA', signature, '=', '.', `.${signature}`])
      await expectRefused(`${good}${more}`);
    for (const bytes of [Buffer.alloc(32), Buffer.alloc(64), Buffer.alloc(64, 0xff)])
      await expectRefused(`${head}.${payload}.${bytes.toString('base64url')}`);
    // Every other last character, those that stand for the same bytes included.
    for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
      if (last !== signature.at(-1))
        expectProblem(
          await api.get(undefined, bearer({ access_token: good.slice(0, -1) + last })),
          401,
          'invalid_token',
        );
  });

  test('refuses a payload that the signature is not for', async () => {
    const [head = '', , signature = ''] = good.split('.');
    const [otherHead = '', otherPayload = ''] = other.tokens.access_token.split('.');
    for (const change of [
      { org_id: other.organization.id },
      { role: 'owner', jti: 'mine' },
      { exp: Number(claims.exp) + 1 },
    ])
      await expectRefused(`${head}.${encode({ ...claims, ...change })}.${signature}`);
    await expectRefused(`${otherHead}.${otherPayload}.${signature}`);
  });

  test.each(['.', '..', '...', '....', 'a', 'a.b', 'a.b.c', 'a.b.c.d.e', '~', '-', '/', '+'])(
    'refuses %j',
    (token) => expectRefused(token),
  );

  test.each([
    ...['', '{', 'null', '1', '"x"', '[]', '{"alg":', '\0', '\xff', '{"alg":"HS256"}{}'],
    Buffer.from([0xff, 0xfe, 0x7b]),
    '['.repeat(50_000),
  ])('refuses a header or a payload of %j', async (raw) => {
    await expectRefused(forge(raw, claims, signer));
    await expectRefused(forge(header, raw, signer));
  });

  test.each([
    ['exp', [null, '9999999999', 1e300, -1, 0.5, 253_402_300_800, true, [], {}, '']],
    ['iat', [null, '0', 1e300, -1, 0.5, 99_999_999_999, {}, 'now']],
    ['nbf', [null, '0', 1e300, -1, 99_999_999_999]],
    ['iss', [null, '', 'somebody', ['tenantry'], 'tenantry ', 'TENANTRY', {}, 1]],
    ['aud', [null, '', 'somebody', ['tenantry'], ['somebody', 'tenantry'], [], {}, 1]],
    ['sub', [null, '', 'x', '0'.repeat(24), ['x'], { $gt: '' }, 1]],
    ['admin_id', [null, '', 'x', '0'.repeat(24), [], { $gt: '' }, 1]],
    ['org_id', [null, '', 'x', '0'.repeat(24), '0'.repeat(23), [], { $ne: null }, 1]],
    ['sid', [null, '', 'x', '0'.repeat(24), [], { $exists: true }, 1]],
    ['jti', [null, '', 1, [], {}]],
    ['role', [null, '', 'OWNER', '__proto__', ['owner'], 1]],
    ['email', [null, 1, [], {}]],
    ['organization', [null, 1, [], {}]],
  ])(
    'refuses claims that its own key signed, if %s is another thing or missing',
    async (claim, values) => {
      for (const value of values) await expectRefused(signed({ [claim]: value }));
      if (claim !== 'nbf') await expectRefused(signed({ [claim]: undefined }));
    },
  );

  test('refuses what has expired, by its own clock', async () => {
    const now = Math.floor(service.clock.now().getTime() / 1_000);
    for (const exp of [0, 1, now - 1, now]) await expectRefused(signed({ exp }), 'token_expired');
    expectStatus(await api.get(undefined, bearer({ access_token: signed({ exp: now + 1 }) })), 200);
    await expectRefused(forge(header, { ...claims, exp: 1 }, hmac('wrong')));
  });

  test('refuses a good token for another organization, session or person', async () => {
    const theirs = decodeSegment(other.tokens.access_token, 1);
    for (const change of [
      { org_id: theirs.org_id },
      { sid: theirs.sid },
      { admin_id: theirs.admin_id, sub: theirs.sub },
      { admin_id: theirs.admin_id },
      { sub: theirs.sub },
      { org_id: theirs.org_id, admin_id: theirs.admin_id, sub: theirs.sub },
      { org_id: theirs.org_id, sid: theirs.sid },
    ])
      await expectRefused(signed(change));
  });

  test('takes no refresh token for an access token, nor the other way round', async () => {
    await expectRefused(acme.tokens.refresh_token);
    await expectRefused(encode(acme.tokens.refresh_token));
    expectProblem(await api.refresh(good.slice(0, 64)), 401, 'invalid_refresh_token');
    expect([401, 422]).toContain((await api.refresh(good)).statusCode);
  });

  test('knows sessions rather than texts: no other form of an ended token works', async () => {
    const ended = await signUpAndIn(service);
    const token = ended.tokens.access_token;
    const own = decodeSegment(token, 1);
    const again = forge(header, own, signer);
    const reordered = forge(header, Object.fromEntries(Object.entries(own).reverse()), signer);
    const forms = [token, again, reordered, ...(alg === 'ES256' ? [twinOf(token)] : [])];
    for (const form of forms)
      expectStatus(await api.get(undefined, bearer({ access_token: form })), 200);
    expectStatus(await api.logout({ headers: ended.auth }), 204);
    for (const form of forms) await expectRefused(form);
  });

  test('answers a token of any length', async () => {
    for (const long of [
      'A'.repeat(100_000),
      `${good}${'A'.repeat(100_000)}`,
      signed({ jti: 1, padding: 'x'.repeat(100_000) }),
      signed({}, { kid: 'x'.repeat(100_000) }),
      '.'.repeat(100_000),
    ])
      await expectRefused(long);
  });

  test('has lost nothing to all of this', async () => {
    const found = expectStatus(await api.get(undefined, { headers: acme.auth }), 200).json();
    expect(found).toMatchObject({ id: acme.organization.id, metadata: {} });
  });
});

describe('a signature of ES256', () => {
  test('is two numbers, not DER, and no number out of range', async () => {
    await using service = await startTestService({
      settings: { signingKeys: keySet(keys.ES256.privatePem) },
    });
    const { tokens } = await signUpAndIn(service);
    const [head = '', payload = '', signature = ''] = tokens.access_token.split('.');
    const der = sign('sha256', Buffer.from(`${head}.${payload}`), keys.ES256.privateKey);
    const raw = Buffer.from(signature, 'base64url');
    const n = bytesOf(P256_ORDER);
    const zero = Buffer.alloc(32);
    for (const wrong of [
      der,
      ...[Buffer.concat([zero, zero]), Buffer.concat([n, n]), Buffer.concat([zero, n])],
      // "Psychic signatures" (CVE-2022-21449).
      Buffer.concat([raw.subarray(0, 32), zero]),
      Buffer.concat([zero, raw.subarray(32)]),
      Buffer.concat([raw.subarray(32), raw.subarray(0, 32)]),
    ]) {
      const access_token = `${head}.${payload}.${wrong.toString('base64url')}`;
      const response = await apiOf(service).get(undefined, bearer({ access_token }));
      expectProblem(response, 401, 'invalid_token');
    }
  });
});

test('a signature of EdDSA has one form only (RFC 8032, 5.1.7)', async () => {
  await using service = await startTestService({
    settings: { signingKeys: keySet(keys.EdDSA.privatePem) },
  });
  const { tokens } = await signUpAndIn(service);
  const [head, payload, signature = ''] = tokens.access_token.split('.');
  const raw = Buffer.from(signature, 'base64url');
  const s = BigInt(`0x${Buffer.from(raw.subarray(32)).reverse().toString('hex')}`);
  const twin = Buffer.concat([raw.subarray(0, 32), bytesOf(s + ED25519_ORDER).reverse()]);
  const access_token = `${head}.${payload}.${twin.toString('base64url')}`;
  expectProblem(
    await apiOf(service).get(undefined, bearer({ access_token })),
    401,
    'invalid_token',
  );
});

/** The other signature that ECDSA allows for the same text: (r, n - s). */
function twinOf(token: string): string {
  const [head, payload, signature = ''] = token.split('.');
  const raw = Buffer.from(signature, 'base64url');
  const s = BigInt(`0x${raw.toString('hex', 32)}`);
  const twin = Buffer.concat([raw.subarray(0, 32), bytesOf(P256_ORDER - s)]);
  return `${head}.${payload}.${twin.toString('base64url')}`;
}

function bytesOf(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
}
