import { randomBytes } from 'node:crypto';
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IdempotentAttempt } from '../../src/idempotency/idempotency-service.ts';
import { type Api, apiOf, bearer, expectProblem, pathsOf, tally } from '../support/api.ts';
import { contentsOf, contradictions } from '../support/database-truth.ts';
import {
  expectStatus,
  SOME_CLIENT,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let api: Api;
beforeAll(async () => {
  service = await startTestService();
  api = apiOf(service);
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await service[Symbol.asyncDispose]();
});

function someKey(): string {
  return randomBytes(12).toString('hex');
}

function withKey(key: string) {
  return { headers: { 'idempotency-key': key } };
}

function keys() {
  return service.db.collection<Document & { _id: string }>('idempotency_keys');
}

/** Does what a request does before its work, and then no more: an attempt that hangs or has crashed. */
async function abandonedAttempt(key: string, body: object): Promise<IdempotentAttempt> {
  const begun = await service.services.idempotency.begin('POST /org/create', key, body);
  if (begun.kind !== 'attempt') throw new Error('the key was used before');
  return begun;
}

/** Lets the lock of an attempt run out, by the database's clock. */
async function expireLock({ keyId }: IdempotentAttempt): Promise<void> {
  const expired = { $set: { locked_until: new Date(0) } };
  const updated = await keys().updateOne({ _id: keyId, answer: null }, expired);
  expect(updated.matchedCount).toBe(1);
}

function organizationsCalled(organization_name: string) {
  return service.db.collection('organizations').find({ organization_name }).toArray();
}

describe('a request that is repeated', () => {
  test('gets the first answer again, byte for byte, and does nothing', async () => {
    const signUp = someSignUp();
    const key = withKey(someKey());
    const first = expectStatus(await api.create(signUp, key), 201);
    expect(first.headers).not.toHaveProperty('idempotent-replayed');
    const before = await contentsOf(service.db);
    for (let n = 0; n < 2; n += 1) {
      const again = expectStatus(await api.create(signUp, key), 201);
      expect(again.body).toBe(first.body);
      expect(again.headers['idempotent-replayed']).toBe('true');
      expect(again.headers['content-type']).toBe(first.headers['content-type']);
      expect(again.headers['x-request-id']).not.toBe(first.headers['x-request-id']);
    }
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('gets a refusal again as well, although it would succeed by now', async () => {
    const acme = await signUpAndIn(service);
    const signUp = someSignUp({ organization_name: acme.organization.organization_name });
    const key = withKey(someKey());
    const first = await api.create(signUp, key);
    expectProblem(first, 409, 'organization_name_taken');
    expectStatus(await api.remove({ headers: acme.auth }), 200);
    const again = expectStatus(await api.create(signUp, key), 409);
    expect(again.body).toBe(first.body);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.headers['content-type']).toBe(first.headers['content-type']);
    expectStatus(await api.create(signUp, withKey(someKey())), 201);
  });

  test('with another body is refused', async () => {
    const signUp = someSignUp();
    const key = withKey(someKey());
    expectStatus(await api.create(signUp, key), 201);
    const before = await contentsOf(service.db);
    for (const other of [
      someSignUp(),
      { ...signUp, password: 'another password' },
      { ...signUp, organization_name: signUp.organization_name.toUpperCase() },
    ]) {
      const problem = expectProblem(await api.create(other, key), 422, 'idempotency_key_reused');
      expect(pathsOf(problem)).toEqual(['/idempotency-key']);
    }
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('after 24 hours is a new one', async () => {
    const key = someKey();
    expectStatus(await api.create(someSignUp(), withKey(key)), 201);
    const [stored] = await keys().find().sort({ $natural: -1 }).limit(1).toArray();
    const keptHours = (Number(stored?.expires_at) - Date.now()) / 3_600_000;
    expect(keptHours).toBeGreaterThan(23.9);
    expect(keptHours).toBeLessThanOrEqual(24.1);
    await keys().updateMany({}, { $set: { expires_at: new Date(0) } });
    const response = expectStatus(await api.create(someSignUp(), withKey(key)), 201);
    expect(response.headers).not.toHaveProperty('idempotent-replayed');
  });

  test('after the organization was deleted is a new one', async () => {
    const signUp = someSignUp();
    const key = withKey(someKey());
    const first = expectStatus(await api.create(signUp, key), 201).json();
    const { email, password } = signUp;
    const tokens = expectStatus(await api.login({ email, password }), 200).json();
    expectStatus(await api.remove(bearer(tokens)), 200);
    const again = expectStatus(await api.create(signUp, key), 201);
    expect(again.headers).not.toHaveProperty('idempotent-replayed');
    expect(again.json().id).not.toBe(first.id);
  });

  test('keeps neither the key nor what was sent and answered where somebody could read it', async () => {
    const key = someKey();
    const signUp = someSignUp({ password: 'not to be read anywhere' });
    expectStatus(await api.create(signUp, withKey(key)), 201);
    const all = await keys().find().toArray();
    const bytes = all.map(({ answer }) => Buffer.from(answer?.sealed_body.value() ?? []));
    expect(Buffer.concat(bytes).length).toBeGreaterThan(100);
    const stored = JSON.stringify(all) + Buffer.concat(bytes).toString('latin1');
    for (const secret of [key, signUp.password, signUp.email, signUp.organization_name])
      expect(stored).not.toContain(secret);
  });

  test('gets the answer of before the secret was replaced, and of none that was dropped', async () => {
    const database = service.settings.masterDatabase;
    const { jwtSecret } = service.settings;
    const next = 'the secret that comes after that of the tests';
    const instance = (settings: { jwtSecret: string; jwtPreviousSecrets?: string[] }) =>
      startTestService({ database, start: false, settings });
    await using replaced = await instance({ jwtSecret: next, jwtPreviousSecrets: [jwtSecret] });
    await using dropped = await instance({ jwtSecret: next });
    const signUp = someSignUp();
    const key = withKey(someKey());
    const first = expectStatus(await api.create(signUp, key), 201);
    const again = expectStatus(await apiOf(replaced).create(signUp, key), 201);
    expect(again.body).toBe(first.body);
    expectProblem(await apiOf(dropped).create(signUp, key), 422, 'idempotency_key_reused');
  });

  test('gets no answer that was sealed for another key, or changed', async () => {
    const signUp = someSignUp();
    const [key, other] = [someKey(), someKey()];
    const ids: string[] = [];
    for (const [one, body] of [
      [key, signUp],
      [other, someSignUp()],
    ] as const) {
      const known = (await keys().find().toArray()).map(({ _id }) => _id);
      expectStatus(await api.create(body, withKey(one)), 201);
      const made = await keys().findOne({ _id: { $nin: known } });
      ids.push(String(made?._id));
    }
    const [mine = '', others = ''] = ids;
    const foreign = await keys().findOne({ _id: others });
    await keys().updateOne({ _id: mine }, { $set: { answer: foreign?.answer } });
    expectProblem(await api.create(signUp, withKey(key)), 409, 'idempotency_answer_lost');
  });
});

describe('what uses up no key', () => {
  test('a body that is not valid', async () => {
    const key = withKey(someKey());
    expectProblem(
      await api.create({ ...someSignUp(), email: 'no' }, key),
      422,
      'validation_failed',
    );
    expectStatus(await api.create(someSignUp(), key), 201);
  });

  test('an answer that only says "not now"', async () => {
    await using full = await startTestService({
      database: service.settings.masterDatabase,
      settings: { maxCollections: 1 },
    });
    const signUp = someSignUp();
    const key = withKey(someKey());
    const before = await contentsOf(service.db);
    expectProblem(await apiOf(full).create(signUp, key), 503, 'capacity_reached');
    expect(await contentsOf(service.db)).toEqual(before);
    const response = expectStatus(await api.create(signUp, key), 201);
    expect(response.headers).not.toHaveProperty('idempotent-replayed');
  });

  test('an operation that creates nothing', async () => {
    const acme = await signUpAndIn(service);
    const key = someKey();
    const headers = { ...acme.auth, 'idempotency-key': key };
    expectStatus(await api.update({ metadata: { a: 1 } }, { headers }), 200);
    expectStatus(await api.update({ metadata: { a: 2 } }, { headers }), 200);
    expectStatus(await api.create(someSignUp(), withKey(key)), 201);
  });
});

describe('an earlier attempt without an answer', () => {
  test('that is still running: 409, and to try again', async () => {
    const signUp = someSignUp();
    const key = someKey();
    await abandonedAttempt(key, signUp);
    const before = await contentsOf(service.db);
    const response = await api.create(signUp, withKey(key));
    expectProblem(response, 409, 'idempotency_key_in_progress');
    expect(response.headers['retry-after']).toBe('1');
    expectProblem(await api.create(someSignUp(), withKey(key)), 422, 'idempotency_key_reused');
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('that crashed before it created anything: the work is done now', async () => {
    const signUp = someSignUp();
    const key = someKey();
    await expireLock(await abandonedAttempt(key, signUp));
    const response = expectStatus(await api.create(signUp, withKey(key)), 201);
    expect(await organizationsCalled(signUp.organization_name)).toHaveLength(1);
    const again = expectStatus(await api.create(signUp, withKey(key)), 201);
    expect(again.body).toBe(response.body);
    expect(again.headers['idempotent-replayed']).toBe('true');
  });

  test.each([1, 2, 3])(
    'that crashed after it created the organization, and %i later ones after them: that one is answered',
    async (crashes) => {
      const signUp = someSignUp();
      const key = someKey();
      const attempt = await abandonedAttempt(key, signUp);
      const created = await service.services.organizations.create(
        signUp,
        SOME_CLIENT,
        attempt.subjectId,
      );
      for (let crashed: IdempotentAttempt = attempt, n = 1; ; n += 1) {
        await expireLock(crashed);
        if (n === crashes) break;
        crashed = await abandonedAttempt(key, signUp);
      }

      const response = expectStatus(await api.create(signUp, withKey(key)), 201);
      expect(response.json()).toEqual({
        id: created.organization._id.toHexString(),
        organization_name: signUp.organization_name,
        collection_name: created.organization.collection_name,
        admin: { id: created.owner._id.toHexString(), email: signUp.email },
        status: 'active',
        created_at: created.organization.created_at.toISOString(),
      });
      expect(await organizationsCalled(signUp.organization_name)).toHaveLength(1);

      // Whichever attempt created it, the key goes with the organization.
      const { email, password } = signUp;
      const tokens = expectStatus(await api.login({ email, password }), 200).json();
      expectStatus(await api.remove(bearer(tokens)), 200);
      expect(await keys().findOne({ _id: attempt.keyId })).toBeNull();
    },
  );

  test('is taken over by one of those who come at the same time', async () => {
    const signUp = someSignUp();
    const key = someKey();
    await expireLock(await abandonedAttempt(key, signUp));
    const responses = await Promise.all(
      Array.from({ length: 10 }, () => api.create(signUp, withKey(key))),
    );
    const counts = tally(responses);
    expect(Object.keys(counts).sort()).toEqual(
      ['201', '409 idempotency_key_in_progress'].filter((kind) => kind in counts),
    );
    expect(counts['201']).toBeGreaterThan(0);
    expect(await organizationsCalled(signUp.organization_name)).toHaveLength(1);
  });
});

test('20 at the same time, on two instances: one organization, one answer', async () => {
  await using second = await startTestService({ database: service.settings.masterDatabase });
  const both = apiOf(service, second);
  const signUp = someSignUp();
  const key = withKey(someKey());
  const responses = await Promise.all(Array.from({ length: 20 }, () => both.create(signUp, key)));
  const counts = tally(responses);
  expect(Object.keys(counts).sort()).toEqual(
    ['201', '409 idempotency_key_in_progress'].filter((kind) => kind in counts),
  );
  const answers = responses.filter(({ statusCode }) => statusCode === 201);
  expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
  expect(await organizationsCalled(signUp.organization_name)).toHaveLength(1);
});

describe('a key', () => {
  test('of 255 visible characters will do', async () => {
    expectStatus(await api.create(someSignUp(), withKey('~'.repeat(255))), 201);
  });

  test.each(['', ' ', 'two words', 'x'.repeat(256), 'ünïcode', 'tab\tbed'])(
    '%j is none',
    async (key) => {
      const before = await contentsOf(service.db);
      const response = await api.create(someSignUp(), withKey(key));
      const problem = expectProblem(response, 400, 'invalid_idempotency_key');
      expect(pathsOf(problem)).toEqual(['/idempotency-key']);
      expect(await contentsOf(service.db)).toEqual(before);
    },
  );
});
