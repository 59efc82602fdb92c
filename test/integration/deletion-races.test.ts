import type { LightMyRequestResponse } from 'fastify';
import { ObjectId } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, tally } from '../support/api.ts';
import { contradictions, placesNaming } from '../support/database-truth.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let first: TestService;
let second: TestService;
let api: Api;
// Two instances on one database: requests go to them in turn.
beforeAll(async () => {
  first = await startTestService();
  second = await startTestService({
    database: first.settings.masterDatabase,
    clock: first.clock,
  });
  api = apiOf(first, second);
});
afterEach(async () => {
  expect(await contradictions(first.db)).toEqual([]);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

type Reply = Promise<LightMyRequestResponse>;

function times(count: number, request: (n: number) => Reply): Promise<LightMyRequestResponse[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => request(n)));
}

const update = (one: SignedUp, body: object) => api.update(body, { headers: one.auth });

function countOf(collection: string, filter = {}): Promise<number> {
  return first.db.collection(collection).countDocuments(filter);
}

function organization({ organization: { id } }: SignedUp) {
  return first.db.collection('organizations').findOne({ _id: new ObjectId(id) });
}

describe('deletions at the same time as', () => {
  test('others of the same organization: it is deleted once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(first);
      const counts = tally(await times(5, () => api.remove({ headers: acme.auth })));
      expect(counts['200']).toBe(1);
      const { '200': _, '401 invalid_token': dead, '404 organization_not_found': gone } = counts;
      expect((dead ?? 0) + (gone ?? 0)).toBe(4);
      expect(await placesNaming(first.db, acme.organization.id, acme.signUp.email)).toEqual([]);
    }
  });

  test('updates of every kind: nothing is left, and nothing is half done', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(first);
      const { organization_name, email } = someSignUp();
      const requests = [
        () => update(acme, { organization_name }),
        () => api.remove({ headers: acme.auth }),
        () => update(acme, { metadata: { a: 1 }, external_id: email }),
        () => update(acme, { email, organization_name: `${organization_name} II` }),
      ];
      // Another one is first in every round.
      const turned = requests.map((_, n) => requests[(n + round) % requests.length]);
      const responses = await Promise.all(turned.flatMap((request) => request?.() ?? []));
      const allowed = [
        '200',
        '401 invalid_token',
        '404 organization_not_found',
        '409 organization_busy',
      ];
      expect(allowed).toEqual(expect.arrayContaining(Object.keys(tally(responses))));
      if ((await organization(acme)) !== null)
        expectStatus(await api.remove({ headers: acme.auth }), 200);
      const names = [acme.organization.id, acme.signUp.email, email, organization_name];
      expect(await placesNaming(first.db, ...names)).toEqual([]);
    }
  });

  test('the owner’s creation of another organization: never a membership of nobody', async () => {
    for (let round = 0; round < 30; round += 1) {
      const acme = await signUpAndIn(first);
      const { email, password } = acme.signUp;
      const [removed, created] = await Promise.all([
        api.remove({ headers: acme.auth }),
        api.create(someSignUp({ email, password })),
      ]);
      expectStatus(removed, 200);
      expectStatus(created, 201);
      expect(await countOf('admins', { email })).toBe(1);
      const signedIn = expectStatus(await api.login({ email, password }), 200).json();
      expect(signedIn.organization.id).toBe(created.json().id);
    }
  });

  test('that of the person’s other organization: the account goes with the last', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(first);
      const { email, password } = acme.signUp;
      const globex = await signUpAndIn(second, { email, password });
      const responses = await Promise.all([
        api.remove({ headers: acme.auth }),
        api.remove({ headers: globex.auth }),
      ]);
      expect(tally(responses)).toEqual({ '200': 2 });
      expect(await placesNaming(first.db, email)).toEqual([]);
    }
  });

  test('a creation of the freed name: it waits its turn, or is refused', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(first);
      const { organization_name } = acme.organization;
      const [removed, created] = await Promise.all([
        api.remove({ headers: acme.auth }),
        api.create(someSignUp({ organization_name })),
      ]);
      expectStatus(removed, 200);
      expect([201, 409]).toContain(created.statusCode);
      expect(await countOf('organizations', { organization_name })).toBe(
        created.statusCode === 201 ? 1 : 0,
      );
    }
  });
});

describe('a deletion between any two calls to the database of', () => {
  /** What the interrupted instance does before each call. */
  let beforeCall = async () => {};
  let interrupted: TestService;
  beforeAll(async () => {
    interrupted = await startTestService({
      database: first.settings.masterDatabase,
      clock: first.clock,
      clientView: (client) =>
        interceptCalls(client, async (call) => {
          await beforeCall();
          return call();
        }),
      start: false,
    });
  });
  afterAll(() => interrupted[Symbol.asyncDispose]());

  const requests: Record<string, (own: SignedUp, other: Api) => Reply> = {
    'a sign-in': ({ signUp }, other) => other.login(signUp),
    'a refresh': ({ tokens }, other) => other.refresh(tokens.refresh_token),
    'a change of credentials': ({ auth }, other) =>
      other.update({ password: 'another password' }, { headers: auth }),
    'the creation of another organization': ({ signUp: { email, password } }, other) =>
      other.create(someSignUp({ email, password }), { headers: { 'idempotency-key': email } }),
  };
  const cases = Object.keys(requests).flatMap((what) => [
    { what, who: 'somebody who belongs nowhere else', organizations: 1 },
    { what, who: 'somebody who belongs elsewhere as well', organizations: 2 },
  ]);

  test.each(cases)('$what by $who', async ({ what, organizations }) => {
    for (let step = 0; ; step += 1) {
      const acme = await signUpAndIn(first);
      const { email, password } = acme.signUp;
      if (organizations === 2) expectStatus(await api.create(someSignUp({ email, password })), 201);
      let calls = 0;
      beforeCall = async () => {
        calls += 1;
        if (calls === step + 1) expectStatus(await api.remove({ headers: acme.auth }), 200);
      };
      const response = await requests[what]?.(acme, apiOf(interrupted));
      beforeCall = async () => {};
      if (calls <= step) {
        expect(step).toBeGreaterThan(2);
        return;
      }
      const answer = `before call ${step + 1}: ${response?.body}`;
      expect([200, 201, 204, 401, 404], answer).toContain(response?.statusCode);
      expect(await placesNaming(first.db, acme.organization.id)).toEqual([]);
      expect(await contradictions(first.db)).toEqual([]);
    }
  });
});
