import { MongoNetworkError, ObjectId } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Caller } from '../../src/access/caller.ts';
import { AdminStore } from '../../src/admins/admin-store.ts';
import { makeApiKey, type NewApiKey } from '../../src/api-keys/api-key.ts';
import { ApiKeyService } from '../../src/api-keys/api-key-service.ts';
import { ApiKeyStore } from '../../src/api-keys/api-key-store.ts';
import { randomIds } from '../../src/ids.ts';
import { Makers } from '../../src/members/makers.ts';
import { MembershipStore } from '../../src/members/membership-store.ts';
import { RegistryStore } from '../../src/registry/registry-store.ts';
import { expectProblem } from '../support/api.ts';
import { deleteKey, makeKey, postKey, readOrganization, withKey } from '../support/api-keys.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let forgetful: TestService;
let acme: SignedUp;
/** The methods of which `forgetful` gets no answer to the first call; all of them are in the end. */
const unanswered = new Set<string>();
beforeAll(async () => {
  service = await startTestService();
  const { masterDatabase: database } = service.settings;
  const { clock } = service;
  forgetful = await startTestService({
    ...{ database, clock, start: false },
    clientView: (client) =>
      interceptCalls(client, async (call, method) => {
        const answer = await call();
        if (unanswered.delete(method)) throw new MongoNetworkError('the answer got lost');
        return answer;
      }),
  });
});
afterAll(async () => {
  await forgetful[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const REQUEST = { name: 'A key', permissions: ['org:read'] as const };

function keysOf({ organization }: SignedUp) {
  const filter = { organization_id: new ObjectId(organization.id) };
  return service.db.collection('api_keys').find(filter).toArray();
}

function callerOf({ organization }: SignedUp): Caller {
  return {
    ...{ kind: 'api_key', apiKeyId: new ObjectId(), expiresAt: null },
    organizationId: new ObjectId(organization.id),
    permissions: new Set(['org:read', 'api_key:write'] as const),
  };
}

test('a key whose writing got no answer is made once, and works', async () => {
  acme = await signUpAndIn(service);
  unanswered.add('updateOne');
  const key = await makeKey(forgetful, acme.auth, ['org:read']);
  expect(unanswered.size).toBe(0);
  expect(await keysOf(acme)).toHaveLength(1);
  expectStatus(await readOrganization(service, withKey(key)), 200);
});

test('a key whose deletion got no answer is deleted, and the caller is told so', async () => {
  acme = await signUpAndIn(service);
  const key = await makeKey(service, acme.auth, ['org:read']);
  expectStatus(await readOrganization(forgetful, withKey(key)), 200);
  unanswered.add('deleteMany');
  expectStatus(await deleteKey(forgetful, acme.auth, key.id), 204);
  expect(unanswered.size).toBe(0);
  expectProblem(await readOrganization(forgetful, withKey(key)), 401, 'invalid_token');
});

test('an attempt that made a key and got lost leaves none that nobody knows', async () => {
  acme = await signUpAndIn(service);
  const caller = callerOf(acme);
  const globex = await signUpAndIn(service);
  const foreign = await makeKey(service, globex.auth, ['org:read']);
  const [first, second] = [new ObjectId(), new ObjectId()];
  const { apiKeys } = service.services;
  const lost = await apiKeys.create(caller, REQUEST, { id: first, earlierIds: [] });
  expectStatus(await readOrganization(service, withKey({ key: lost.text })), 200);
  const earlierIds = [first, new ObjectId(), new ObjectId(foreign.id)];
  const made = await apiKeys.create(caller, REQUEST, { id: second, earlierIds });
  expectProblem(await readOrganization(service, withKey({ key: lost.text })), 401, 'invalid_token');
  expectStatus(await readOrganization(service, withKey({ key: made.text })), 200);
  expect((await keysOf(acme)).map(({ _id }) => _id)).toEqual([second]);
  // Ids of another organization's keys are no way to end them.
  expectStatus(await readOrganization(service, withKey(foreign)), 200);
});

test('a prefix that is taken is another key’s: a new one is made', async () => {
  acme = await signUpAndIn(service);
  const taken = makeApiKey();
  const others = await signUpAndIn(service);
  const made: NewApiKey[] = [taken, taken, taken, makeApiKey()];
  const master = service.db;
  const keys = new ApiKeyService({
    ...{ keys: new ApiKeyStore(master, () => {}), registry: new RegistryStore(master) },
    makers: new Makers({
      memberships: new MembershipStore(master, () => {}),
      admins: new AdminStore(master),
    }),
    ...{ clock: service.clock, ids: randomIds },
    makeKey: () => made.shift() ?? makeApiKey(),
    forgetAnswers: async () => {},
  });
  const first = await keys.create(callerOf(others), REQUEST);
  expect(first.text).toBe(taken.text);
  const second = await keys.create(callerOf(acme), REQUEST);
  expect(second.text).not.toBe(taken.text);
  expect(made).toEqual([]);
  for (const [{ text: key }, { organization }] of [
    [first, others],
    [second, acme],
  ] as const) {
    const seen = expectStatus(await readOrganization(service, withKey({ key })), 200).json();
    expect(seen.id).toBe(organization.id);
  }
});

test('20 at once with one Idempotency-Key: one key', async () => {
  acme = await signUpAndIn(service);
  const posts = Array.from({ length: 20 }, () =>
    postKey(service, acme.auth, { ...REQUEST }, 'the-same-for-all'),
  );
  const answers = await Promise.all(posts);
  const bodies = answers.filter(({ statusCode }) => statusCode === 201).map(({ body }) => body);
  expect(new Set(bodies).size).toBe(1);
  for (const answer of answers)
    if (answer.statusCode !== 201) expectProblem(answer, 409, 'idempotency_key_in_progress');
  expect(await keysOf(acme)).toHaveLength(1);
});
