import { createDecoder, createSigner } from 'fast-jwt';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem, tally } from '../support/api.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const DAY_MS = 24 * 3_600_000;

let service: TestService;
let api: Api;
beforeAll(async () => {
  service = await startTestService();
  api = apiOf(service);
});
afterAll(() => service[Symbol.asyncDispose]());

function membershipOf({ organization }: SignedUp) {
  return { organization_id: new ObjectId(organization.id) };
}

function sessionsOf({ organization }: SignedUp) {
  const filter = { organization_id: new ObjectId(organization.id) };
  return service.db.collection('sessions').find(filter).toArray();
}

/** As another instance would, so that this one knows within a second. */
async function setState({ organization }: SignedUp, state: string): Promise<void> {
  const filter = { _id: new ObjectId(organization.id) };
  await service.db.collection('organizations').updateOne(filter, { $set: { state } });
  service.clock.advance(1_000);
}

describe('an access token', () => {
  test('is good for an hour, by the service’s clock', async () => {
    const acme = await signUpAndIn(service);
    service.clock.advance(3_599_000);
    expectStatus(await api.get(undefined, { headers: acme.auth }), 200);
    service.clock.advance(1_000);
    const response = await api.get(undefined, { headers: acme.auth });
    expectProblem(response, 401, 'token_expired');
    expect(response.headers['www-authenticate']).toBe(
      'Bearer realm="tenantry", error="invalid_token"',
    );
  });

  test('is refused at once when its membership is gone, and so is the refresh token', async () => {
    const acme = await signUpAndIn(service);
    await service.db.collection('memberships').deleteOne(membershipOf(acme));
    expectProblem(await api.get(undefined, { headers: acme.auth }), 401, 'invalid_token');
    expectProblem(await api.update({ metadata: {} }, { headers: acme.auth }), 401, 'invalid_token');
    expectProblem(await api.refresh(acme.tokens.refresh_token), 401, 'invalid_refresh_token');
  });

  test('has the role its bearer has now, not the one at issue', async () => {
    const acme = await signUpAndIn(service);
    const viewer = { $set: { role: 'viewer' } };
    await service.db.collection('memberships').updateOne(membershipOf(acme), viewer);
    const response = await api.update({ metadata: {} }, { headers: acme.auth });
    expectProblem(response, 403, 'permission_denied');
  });

  test('is refused when its session is gone', async () => {
    const acme = await signUpAndIn(service);
    await service.db.collection('sessions').deleteMany(membershipOf(acme));
    expectProblem(await api.get(undefined, { headers: acme.auth }), 401, 'invalid_token');
  });

  test('is closed out while the organization is suspended, and good again afterwards', async () => {
    const acme = await signUpAndIn(service);
    await setState(acme, 'suspended');
    expectProblem(await api.get(undefined, { headers: acme.auth }), 403, 'organization_suspended');
    await setState(acme, 'active');
    expectStatus(await api.get(undefined, { headers: acme.auth }), 200);
  });

  test('is for the organization its session is in, although its bearer belongs to another', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const globex = await signUpAndIn(service, { email, password });
    const sign = createSigner({ key: service.settings.jwtSecret, algorithm: 'HS256' });
    const decode = createDecoder();
    const [own, other] = [acme, globex].map(({ tokens }) => decode(tokens.access_token));
    expectStatus(await api.get(undefined, bearer({ access_token: sign({ ...own }) })), 200);
    const somebody = await signUpAndIn(service);
    const stranger = decode(somebody.tokens.access_token);
    for (const mixed of [
      { ...own, org_id: other.org_id },
      { ...own, sid: other.sid },
      { ...own, sid: stranger.sid },
      { ...own, admin_id: stranger.admin_id },
      { ...own, org_id: stranger.org_id },
    ])
      expectProblem(
        await api.get(undefined, bearer({ access_token: sign(mixed) })),
        401,
        'invalid_token',
      );
  });

  test('of another installation is refused', async () => {
    await using other = await startTestService({
      database: service.settings.masterDatabase,
      settings: { jwtSecret: 'the secret of quite another installation' },
    });
    const acme = await signUpAndIn(service);
    const response = await apiOf(other).get(undefined, { headers: acme.auth });
    expectProblem(response, 401, 'invalid_token');
    const refused = await apiOf(other).refresh(acme.tokens.refresh_token);
    expectProblem(refused, 401, 'invalid_refresh_token');
    expectStatus(await api.refresh(acme.tokens.refresh_token), 200);
  });
});

describe('a refresh', () => {
  test('gives a new pair for the same session', async () => {
    const acme = await signUpAndIn(service);
    service.clock.advance(5_000);
    const response = expectStatus(await api.refresh(acme.tokens.refresh_token), 200);
    expect(response.headers['cache-control']).toBe('no-store');
    const pair = response.json();
    expect(pair).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: 'bearer',
      expires_in: 3_600,
      refresh_token: expect.stringMatching(/^[\w-]{40,}$/),
      refresh_expires_in: 7 * 24 * 3_600,
    });
    expect(pair.access_token).not.toBe(acme.tokens.access_token);
    expect(pair.refresh_token).not.toBe(acme.tokens.refresh_token);
    expectStatus(await api.get(undefined, bearer(pair)), 200);
    expect(await sessionsOf(acme)).toHaveLength(1);
  });

  test('shows the name, the role and the address of now in the token', async () => {
    const acme = await signUpAndIn(service);
    const changed = {
      organization_name: `Renamed ${acme.organization.id}`,
      email: `new-${acme.signUp.email}`,
    };
    expectStatus(await api.update(changed, { headers: acme.auth }), 200);
    const pair = expectStatus(await api.refresh(acme.tokens.refresh_token), 200).json();
    const claims = JSON.parse(
      Buffer.from(String(pair.access_token.split('.')[1]), 'base64url').toString(),
    );
    expect(claims).toMatchObject({ organization: changed.organization_name, email: changed.email });
  });

  test('submitted twice within 10 seconds by one client gets the same pair', async () => {
    const acme = await signUpAndIn(service);
    const first = expectStatus(await api.refresh(acme.tokens.refresh_token), 200);
    service.clock.advance(10_000);
    const second = expectStatus(await api.refresh(acme.tokens.refresh_token), 200);
    expect(second.body).toBe(first.body);
    expectStatus(await api.refresh(first.json().refresh_token), 200);
  });

  test('submitted again after 10 seconds ends the session', async () => {
    const acme = await signUpAndIn(service);
    const pair = expectStatus(await api.refresh(acme.tokens.refresh_token), 200).json();
    service.clock.advance(10_001);
    expectProblem(await api.refresh(acme.tokens.refresh_token), 401, 'refresh_token_reused');
    expectProblem(await api.refresh(pair.refresh_token), 401, 'invalid_refresh_token');
    expectProblem(await api.get(undefined, bearer(pair)), 401, 'invalid_token');
    expect(await sessionsOf(acme)).toEqual([]);
  });

  test('submitted again by another client ends the session at once', async () => {
    const acme = await signUpAndIn(service);
    const pair = expectStatus(await api.refresh(acme.tokens.refresh_token), 200).json();
    const thief = { headers: { 'user-agent': 'somebody else' } };
    expectProblem(await api.refresh(acme.tokens.refresh_token, thief), 401, 'refresh_token_reused');
    expectProblem(await api.refresh(pair.refresh_token), 401, 'invalid_refresh_token');
    expectProblem(await api.get(undefined, bearer(pair)), 401, 'invalid_token');
  });

  test('with a token used long ago ends the session as well', async () => {
    const acme = await signUpAndIn(service);
    let token = acme.tokens.refresh_token;
    for (let n = 0; n < 5; n += 1)
      token = expectStatus(await api.refresh(token), 200).json().refresh_token;
    expectProblem(await api.refresh(acme.tokens.refresh_token), 401, 'refresh_token_reused');
    expectProblem(await api.refresh(token), 401, 'invalid_refresh_token');
    expect(await sessionsOf(acme)).toEqual([]);
  });

  test('of one session leaves the person’s other sessions alone, even if it was stolen', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const other = expectStatus(await api.login({ email, password }), 200).json();
    expectStatus(await api.refresh(acme.tokens.refresh_token), 200);
    service.clock.advance(10_001);
    expectProblem(await api.refresh(acme.tokens.refresh_token), 401, 'refresh_token_reused');
    expectStatus(await api.get(undefined, bearer(other)), 200);
    expectStatus(await api.refresh(other.refresh_token), 200);
  });

  test('is refused after 30 days, however often the session was refreshed', async () => {
    const acme = await signUpAndIn(service);
    let token = acme.tokens.refresh_token;
    for (let day = 1; day < 30; day += 1) {
      service.clock.advance(DAY_MS);
      const pair = expectStatus(await api.refresh(token), 200).json();
      expect(pair.refresh_expires_in).toBe(Math.min(7, 30 - day) * 24 * 3_600);
      token = pair.refresh_token;
    }
    service.clock.advance(DAY_MS);
    expectProblem(await api.refresh(token), 401, 'invalid_refresh_token');
  });

  test('is refused after 7 days without one', async () => {
    const acme = await signUpAndIn(service);
    service.clock.advance(7 * DAY_MS - 1);
    const pair = expectStatus(await api.refresh(acme.tokens.refresh_token), 200).json();
    service.clock.advance(7 * DAY_MS);
    expectProblem(await api.refresh(pair.refresh_token), 401, 'invalid_refresh_token');
  });

  test('is refused while the organization is suspended, and uses up no token', async () => {
    const acme = await signUpAndIn(service);
    await setState(acme, 'suspended');
    expectProblem(await api.refresh(acme.tokens.refresh_token), 403, 'organization_suspended');
    await setState(acme, 'active');
    service.clock.advance(60_000);
    expectStatus(await api.refresh(acme.tokens.refresh_token), 200);
  });

  test.each([
    'x',
    'a'.repeat(64),
    'a'.repeat(512),
    '66f1c0ffee0ddba11ca75a1e',
    '../../etc/passwd',
    '{"$gt":""}',
  ])('of %j is refused', async (token) => {
    expectProblem(await api.refresh(token), 401, 'invalid_refresh_token');
  });

  test('of a token that was changed in any place is refused, and changes nothing', async () => {
    const acme = await signUpAndIn(service);
    const { refresh_token: token } = acme.tokens;
    for (let at = 0; at < token.length; at += 1) {
      const other = token[at] === 'A' ? 'B' : 'A';
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      expectProblem(await api.refresh(changed), 401, 'invalid_refresh_token');
    }
    expectStatus(await api.refresh(token), 200);
  });
});

describe('at the same time', () => {
  test('50 refreshes of one token have one successor, whichever instance they reach', async () => {
    await using second = await startTestService({
      database: service.settings.masterDatabase,
      clock: service.clock,
    });
    const acme = await signUpAndIn(service);
    const both = apiOf(service, second);
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => both.refresh(acme.tokens.refresh_token)),
    );
    expect(tally(responses)).toEqual({ '200': 50 });
    expect(new Set(responses.map(({ body }) => body)).size).toBe(1);
    expect(await sessionsOf(acme)).toMatchObject([{ refresh_generation: 1 }]);
  });

  test('20 clients with one token: one of them at most, and the session is dead', async () => {
    const acme = await signUpAndIn(service);
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        api.refresh(acme.tokens.refresh_token, { headers: { 'user-agent': `client ${n}` } }),
      ),
    );
    expect(tally(responses)['200']).toBe(1);
    expect(tally(responses)['401 refresh_token_reused']).toBeGreaterThan(0);
    expect(await sessionsOf(acme)).toEqual([]);
  });
});

describe('a logout', () => {
  test('ends this session and no other', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const other = expectStatus(await api.login({ email, password }), 200).json();
    const response = expectStatus(await api.logout({ headers: acme.auth }), 204);
    expect(response.body).toBe('');
    expectProblem(await api.get(undefined, { headers: acme.auth }), 401, 'invalid_token');
    expectProblem(await api.refresh(acme.tokens.refresh_token), 401, 'invalid_refresh_token');
    expectProblem(await api.logout({ headers: acme.auth }), 401, 'invalid_token');
    expectStatus(await api.get(undefined, bearer(other)), 200);
    expectStatus(await api.refresh(other.refresh_token), 200);
  });

  test('needs a token', async () => {
    expectProblem(await api.logout(), 401, 'authentication_required');
  });

  test.each(['editor', 'viewer'])('is open to the %s', async (role) => {
    const acme = await signUpAndIn(service);
    await service.db.collection('memberships').updateOne(membershipOf(acme), { $set: { role } });
    expectStatus(await api.logout({ headers: acme.auth }), 204);
  });
});
