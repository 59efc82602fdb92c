import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ServiceSettings } from '../../src/composition/foundation.ts';
import { apiOf, bearer, expectProblem } from '../support/api.ts';
import {
  expectStatus,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';
import { decodeSegment, jwkOf, keySet, makeKey } from '../support/tokens.ts';

const OLD = 'the secret of last year, long enough to sign with';
const NEW = 'the secret of this year, long enough to sign with';

let first: TestService;
beforeEach(async () => {
  first = await startTestService({ settings: { jwtSecret: OLD } });
});
afterEach(() => first[Symbol.asyncDispose]());

/** One more instance on the same database. */
function instance(settings: Partial<ServiceSettings>): Promise<TestService> {
  const { clock, db } = first;
  return startTestService({ database: db.databaseName, settings, clock });
}

async function published({ app }: TestService) {
  const response = expectStatus(await app.inject({ url: '/.well-known/jwks.json' }), 200);
  expect(response.headers).toMatchObject({
    'cache-control': 'public, max-age=300',
    'content-type': expect.stringMatching(/^application\/json\b/),
  });
  return response.json();
}

describe('the key set', () => {
  test('is empty with a secret, of which nothing is public', async () => {
    expect(await published(first)).toEqual({ keys: [] });
  });

  test('holds the public keys, for anyone, whatever they send along', async () => {
    const keys = [makeKey('ES256'), makeKey('EdDSA')];
    const signingKeys = keySet(...keys.map(({ privatePem }) => privatePem));
    await using service = await instance({ jwtSecret: OLD, signingKeys });
    expect(await published(service)).toEqual({ keys: keys.map(jwkOf) });
    const headers = { authorization: 'Bearer of.bad.news' };
    const response = await service.app.inject({ url: '/.well-known/jwks.json', headers });
    expect(expectStatus(response, 200).json()).toEqual({ keys: keys.map(jwkOf) });
    const posted = await service.app.inject({ method: 'POST', url: '/.well-known/jwks.json' });
    expectProblem(posted, 405, 'method_not_allowed');
  });
});

describe.each(['ES256', 'EdDSA'] as const)('with %s', (alg) => {
  /** What the back end of a product does, with a library that is not ours. */
  async function verifyElsewhere(token: string, keys: Awaited<ReturnType<typeof published>>) {
    const { clock, settings } = first;
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), {
      ...{ issuer: settings.issuer, audience: settings.audience, algorithms: [alg] },
      ...{ typ: 'JWT', requiredClaims: ['jti', 'exp', 'iat'], currentDate: clock.now() },
    });
    return { payload, kid: protectedHeader.kid };
  }

  test('a product verifies tokens with the published keys, all through a rotation', async () => {
    const [old, next] = [makeKey(alg), makeKey(alg)];
    const step = (...pems: string[]) => instance({ jwtSecret: OLD, signingKeys: keySet(...pems) });
    await using before = await step(old.privatePem);
    await using announced = await step(old.privatePem, next.privatePem);
    await using switched = await step(next.privatePem, old.publicPem);
    await using after = await step(next.privatePem);
    const acme = await signUpAndIn(before);
    const { email, password } = acme.signUp;

    // While one step is rolled out, instances of it and of the one before serve together.
    for (const [rolledOut, replaced, kids] of [
      [announced, before, [old.kid, old.kid]],
      [switched, announced, [next.kid, old.kid]],
      [after, switched, [next.kid, next.kid]],
    ] as const) {
      for (const [index, issuer] of [rolledOut, replaced].entries()) {
        const login = await apiOf(issuer).login({ email, password });
        const { access_token } = expectStatus(login, 200).json();
        for (const verifier of [rolledOut, replaced])
          if (verifier !== after || kids[index] === next.kid)
            expectStatus(await apiOf(verifier).get(undefined, bearer({ access_token })), 200);
        // What a product has kept is at most as old as the announcement.
        const { payload, kid } = await verifyElsewhere(access_token, await published(replaced));
        expect(kid).toBe(kids[index]);
        expect(payload).toMatchObject({ email, role: 'owner' });
      }
    }
    const token = acme.tokens.access_token;
    expectProblem(await apiOf(after).get(undefined, bearer(acme.tokens)), 401, 'invalid_token');
    await expect(verifyElsewhere(token, await published(after))).rejects.toThrow('no applicable');
    // The session goes on: its refresh token does not depend on the keys.
    const pair = expectStatus(await apiOf(after).refresh(acme.tokens.refresh_token), 200).json();
    expectStatus(await apiOf(after).get(undefined, bearer(pair)), 200);
    expect(decodeSegment(pair.access_token, 0)).toEqual({ alg, typ: 'JWT', kid: next.kid });
  });

  test('sessions that began with the secret go on with a refresh', async () => {
    const acme = await signUpAndIn(first);
    const signingKeys = keySet(makeKey(alg).privatePem);
    await using second = await instance({ jwtSecret: OLD, signingKeys });
    const api = apiOf(second);
    expectProblem(await api.get(undefined, { headers: acme.auth }), 401, 'invalid_token');
    const pair = expectStatus(await api.refresh(acme.tokens.refresh_token), 200).json();
    expectStatus(await api.get(undefined, bearer(pair)), 200);
    expectProblem(await apiOf(first).get(undefined, bearer(pair)), 401, 'invalid_token');
  });

  test('a double submit gets the same refresh token, and an access token that says the same', async () => {
    const signingKeys = keySet(makeKey(alg).privatePem);
    await using service = await instance({ jwtSecret: OLD, signingKeys });
    const { tokens } = await signUpAndIn(service);
    const refresh = async () =>
      expectStatus(await apiOf(service).refresh(tokens.refresh_token), 200).json();
    const [one, two] = [await refresh(), await refresh()];
    expect(two.refresh_token).toBe(one.refresh_token);
    expect(decodeSegment(two.access_token, 1)).toEqual(decodeSegment(one.access_token, 1));
  });
});

describe('a new secret', () => {
  test('leaves all that the old one made good, through every step', async () => {
    await using announced = await instance({ jwtSecret: OLD, jwtPreviousSecrets: [NEW] });
    await using switched = await instance({ jwtSecret: NEW, jwtPreviousSecrets: [OLD] });
    for (const [issuer, other] of [
      [first, announced],
      [announced, first],
      [announced, switched],
      [switched, announced],
    ] as const) {
      const { tokens, auth } = await signUpAndIn(issuer);
      expectStatus(await apiOf(other).get(undefined, { headers: auth }), 200);
      const pair = expectStatus(await apiOf(other).refresh(tokens.refresh_token), 200).json();
      expectStatus(await apiOf(issuer).get(undefined, bearer(pair)), 200);
      expectStatus(await apiOf(issuer).refresh(pair.refresh_token), 200);
    }
  });

  test('ends what the old one made, once that is dropped', async () => {
    await using switched = await instance({ jwtSecret: NEW });
    const { tokens, auth } = await signUpAndIn(first);
    expectProblem(await apiOf(switched).get(undefined, { headers: auth }), 401, 'invalid_token');
    const refused = await apiOf(switched).refresh(tokens.refresh_token);
    expectProblem(refused, 401, 'invalid_refresh_token');
  });

  test('gives the stored answer to a request that is repeated, and to no other', async () => {
    await using switched = await instance({ jwtSecret: NEW, jwtPreviousSecrets: [OLD] });
    await using forgetful = await instance({ jwtSecret: NEW });
    const key = { headers: { 'idempotency-key': 'across-a-rotation' } };
    const body = someSignUp();
    const created = expectStatus(await apiOf(first).create(body, key), 201);
    const again = expectStatus(await apiOf(switched).create(body, key), 201);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.json()).toEqual(created.json());
    for (const [service, sent] of [
      [switched, someSignUp()],
      [forgetful, body],
    ] as const)
      expectProblem(await apiOf(service).create(sent, key), 422, 'idempotency_key_reused');
  });
});
