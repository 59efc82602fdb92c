import { type CommandStartedEvent, type MongoClient, ObjectId } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { makeApiKey } from '../../src/api-keys/api-key.ts';
import { expectProblem, tally } from '../support/api.ts';
import {
  type Auth,
  deleteKey,
  listKeys,
  type Made,
  makeKey,
  readOrganization,
  withKey,
} from '../support/api-keys.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let cluster: Cluster;
let one: Instance;
let other: Instance;
/** What `one` asks of the collections that decide about keys, in the order it asks. */
const asked: string[] = [];
let acme: SignedUp;

beforeAll(async () => {
  cluster = await Cluster.create();
  one = await cluster.instance({ clientView: watched });
  other = await cluster.instance();
});
beforeEach(async () => {
  acme = await signUpAndIn(one);
  asked.length = 0;
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** The driver reads the option when it connects, which it has not done yet. */
function watched(client: MongoClient): MongoClient {
  client.options.monitorCommands = true;
  client.on('commandStarted', ({ commandName, command }: CommandStartedEvent) => {
    const collection = String(command[commandName]);
    if (['api_keys', 'organizations', 'memberships', 'sessions'].includes(collection))
      asked.push(`${commandName} ${collection}`);
  });
  return client;
}

function update({ app }: Instance, headers: Auth) {
  return app.inject({ method: 'PUT', url: '/org/update', headers, payload: { metadata: {} } });
}

/** A read that asks for nothing that the decision about a key would ask for. */
function readRoles({ app }: Pick<TestService, 'app'>, headers: Auth) {
  return app.inject({ url: '/org/roles', headers });
}

async function setState(state: string): Promise<void> {
  const filter = { _id: new ObjectId(acme.organization.id) };
  await cluster.db.collection('organizations').updateOne(filter, { $set: { state } });
}

/** Past the second in which an answer may be given again. */
const aSecondLater = () => cluster.clock.advance(1_000);

describe('what the database is asked', () => {
  test('to read with a key: once, and then nothing', async () => {
    const key = await makeKey(one, acme.auth, ['member:read']);
    asked.length = 0;
    expectStatus(await readRoles(one, withKey(key)), 200);
    expect(asked).toEqual(['find api_keys', 'find organizations']);
    asked.length = 0;
    for (let n = 0; n < 10; n += 1) expectStatus(await readRoles(one, withKey(key)), 200);
    expect(asked).toEqual([]);
    aSecondLater();
    expectStatus(await readRoles(one, withKey(key)), 200);
    expect(asked).toEqual(['find api_keys', 'find organizations']);
  });

  test('by many at once: as much as by one', async () => {
    const key = await makeKey(one, acme.auth, ['member:read']);
    asked.length = 0;
    const reads = Array.from({ length: 20 }, () => readRoles(one, withKey(key)));
    expect(tally(await Promise.all(reads))).toEqual({ 200: 20 });
    expect(asked).toEqual(['find api_keys', 'find organizations']);
  });

  test('to change something: what is true now', async () => {
    const key = await makeKey(one, acme.auth, ['org:update']);
    for (let n = 0; n < 2; n += 1) {
      asked.length = 0;
      expectStatus(await update(one, withKey(key)), 200);
      expect(asked.slice(0, 2)).toEqual(['find api_keys', 'find organizations']);
    }
  });

  test('about what never was a key: nothing', async () => {
    const { key } = await makeKey(one, acme.auth, ['member:read']);
    asked.length = 0;
    for (const text of [
      'tnt_',
      `${key}0`,
      key.slice(0, -1),
      key.slice(0, -1) + (key.endsWith('x') ? 'y' : 'x'),
      key.toUpperCase().replace('TNT', 'tnt'),
      `tnt_${'A'.repeat(5_000)}`,
    ])
      expectProblem(await readRoles(one, withKey({ key: text })), 401, 'invalid_token');
    expect(asked).toEqual([]);
  });
});

test('unknown, wrong, deleted, expired, of a deleted organization: all the same answer', async () => {
  const globex = await signUpAndIn(one);
  const gone = await makeKey(one, globex.auth, ['member:read']);
  const url = '/org/delete';
  expectStatus(await one.app.inject({ method: 'DELETE', url, headers: globex.auth }), 200);
  const key = await makeKey(one, acme.auth, ['member:read']);
  const deleted = await makeKey(one, acme.auth, ['member:read']);
  expectStatus(await deleteKey(one, acme.auth, deleted.id), 204);
  const soon = new Date(cluster.clock.now().getTime() + 5).toISOString();
  const expired = await makeKey(one, acme.auth, ['member:read'], { expires_at: soon });
  cluster.clock.advance(5);
  const unknown = makeApiKey();
  // Right in every way, but with the secret of another: the prefix alone finds the key, and opens nothing.
  const wrong = makeApiKey();
  await cluster.db
    .collection('api_keys')
    .updateOne({ _id: new ObjectId(key.id) }, { $set: { prefix: wrong.prefix } });
  const texts = [unknown.text, wrong.text, deleted.key, expired.key, gone.key, 'tnt_x'];
  for (const instance of [one, other]) {
    for (const send of [readRoles, update]) {
      const answers = await Promise.all(
        texts.map(async (text) => send(instance, withKey({ key: text }))),
      );
      const seen = answers.map((answer) => {
        const { request_id: _, ...rest } = expectProblem(answer, 401, 'invalid_token');
        return JSON.stringify([rest, answer.headers['www-authenticate']]);
      });
      expect(new Set(seen).size).toBe(1);
    }
  }
});

describe('a key that ends', () => {
  test('is good up to the instant, and not at it, whatever is remembered', async () => {
    const end = cluster.clock.now().getTime() + 100;
    const key = await makeKey(one, acme.auth, ['member:read', 'org:update'], {
      expires_at: new Date(end).toISOString(),
    });
    cluster.clock.advance(99);
    for (const instance of [one, other]) {
      expectStatus(await readRoles(instance, withKey(key)), 200);
      expectStatus(await update(instance, withKey(key)), 200);
    }
    cluster.clock.advance(1);
    asked.length = 0;
    for (const instance of [one, other])
      expectProblem(await readRoles(instance, withKey(key)), 401, 'invalid_token');
    // It was remembered, and refused all the same.
    expect(asked).toEqual([]);
    expectProblem(await update(one, withKey(key)), 401, 'invalid_token');
    // It is still listed, so that people find out.
    expect((await listKeys(one, acme.auth)).body).toContain(key.id);
  });

  test('is tidied away 30 days later, and no other is', async () => {
    const index = (await cluster.db.collection('api_keys').indexes()).find(
      ({ name }) => name === 'expires_at',
    );
    expect(index).toMatchObject({ key: { expires_at: 1 }, expireAfterSeconds: 2_592_000 });
  });
});

describe('a key that is deleted', () => {
  async function remembered(): Promise<Made> {
    const key = await makeKey(one, acme.auth, ['member:read', 'org:update']);
    for (const instance of [one, other]) expectStatus(await readRoles(instance, withKey(key)), 200);
    return key;
  }

  test('is refused at once where it was deleted, and elsewhere within a second', async () => {
    const key = await remembered();
    expectStatus(await deleteKey(one, acme.auth, key.id), 204);
    expectProblem(await readRoles(one, withKey(key)), 401, 'invalid_token');
    // What changes something looks for itself, on every instance.
    expectProblem(await update(other, withKey(key)), 401, 'invalid_token');
    aSecondLater();
    expectProblem(await readRoles(other, withKey(key)), 401, 'invalid_token');
  });

  test('20 times at once, on two instances, while it is used: refused from then on', async () => {
    const key = await remembered();
    const uses: Promise<unknown>[] = [];
    const deletions = Array.from({ length: 20 }, (_, n) => {
      uses.push(readRoles(n % 3 ? one : other, withKey(key)), update(one, withKey(key)));
      return deleteKey(n % 2 ? one : other, acme.auth, key.id);
    });
    const answers = await Promise.all(deletions);
    const counts = tally(answers);
    expect(counts['204']).toBeGreaterThan(0);
    expect(Object.keys(counts).sort()).toEqual(
      ['204', '404 api_key_not_found'].filter((kind) => kind in counts),
    );
    await Promise.all(uses);
    // Whoever ended it knows at once: a look-up that was under way when the key went has not been remembered.
    for (const [odd, instance] of [other, one].entries())
      if (answers.some(({ statusCode }, n) => statusCode === 204 && n % 2 === odd))
        expectProblem(await readRoles(instance, withKey(key)), 401, 'invalid_token');
    aSecondLater();
    for (const instance of [one, other])
      expectProblem(await readRoles(instance, withKey(key)), 401, 'invalid_token');
  });

  /** Without a change stream only time tells; the clock of this test stands still. */
  test('is told to the other instances by a change stream, on a replica set', async () => {
    if (inject('topology') !== 'replica-set') return;
    await using watching = await startTestService({
      ...{ database: cluster.db.databaseName, clock: cluster.clock },
    });
    // What is known when the stream opens is forgotten anyhow, so the second time counts.
    for (let time = 1; time <= 2; time += 1) {
      const key = await makeKey(one, acme.auth, ['member:read']);
      expectStatus(await readRoles(watching, withKey(key)), 200);
      expectStatus(await deleteKey(one, acme.auth, key.id), 204);
      await vi.waitFor(
        async () => expectProblem(await readRoles(watching, withKey(key)), 401, 'invalid_token'),
        { timeout: 10_000, interval: 20 },
      );
    }
  });

  test('takes the stored answer along that gave it out', async () => {
    const headers = { ...acme.auth, 'idempotency-key': 'once-only' };
    const payload = { name: 'A key', permissions: ['member:read'] };
    const post = () => one.app.inject({ method: 'POST', url: '/org/api-keys', headers, payload });
    const first = expectStatus(await post(), 201);
    const again = expectStatus(await post(), 201);
    expect(again.body).toBe(first.body);
    expect(again.headers).toMatchObject({
      'idempotent-replayed': 'true',
      'cache-control': 'no-store',
    });
    expectStatus(await deleteKey(one, acme.auth, first.json().id), 204);
    const anew = expectStatus(await post(), 201);
    expect(anew.headers).not.toHaveProperty('idempotent-replayed');
    expectStatus(await readRoles(one, withKey(anew.json())), 200);
    expectProblem(await readRoles(one, withKey(first.json())), 401, 'invalid_token');
  });
});

describe('the organization decides', () => {
  test('suspended: 403; serving again: open', async () => {
    const key = await makeKey(one, acme.auth, ['member:read', 'org:update']);
    expectStatus(await readRoles(one, withKey(key)), 200);
    await setState('suspended');
    aSecondLater();
    for (const send of [readRoles, update])
      expectProblem(await send(one, withKey(key)), 403, 'organization_suspended');
    await setState('active');
    aSecondLater();
    expectStatus(await readRoles(one, withKey(key)), 200);
  });

  test('being deleted, deleted, its name taken by another: 401', async () => {
    const key = await makeKey(one, acme.auth, ['org:delete', 'member:read']);
    for (const instance of [one, other]) expectStatus(await readRoles(instance, withKey(key)), 200);
    await setState('deleting');
    aSecondLater();
    expectProblem(await readRoles(one, withKey(key)), 401, 'invalid_token');
    await setState('active');
    aSecondLater();
    // The key itself may do it.
    const headers = withKey(key);
    expectStatus(await one.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    expectProblem(await readRoles(one, headers), 401, 'invalid_token');
    expectProblem(await update(other, headers), 401, 'invalid_token');
    const { organization_name } = acme.organization;
    await signUpAndIn(one, { organization_name });
    aSecondLater();
    for (const instance of [one, other])
      expectProblem(await readRoles(instance, headers), 401, 'invalid_token');
  });

  /** As somebody does whose request was let in just before. */
  function create(): Promise<unknown> {
    const caller = {
      ...{ kind: 'api_key' as const, apiKeyId: new ObjectId(), expiresAt: null },
      organizationId: new ObjectId(acme.organization.id),
      permissions: new Set(['org:read'] as const),
    };
    return one.services.apiKeys.create(caller, { name: 'Too late', permissions: ['org:read'] });
  }

  function countKeys(): Promise<number> {
    const filter = { organization_id: new ObjectId(acme.organization.id) };
    return cluster.db.collection('api_keys').countDocuments(filter);
  }

  test.each([
    ['deleting', 'invalid_token'],
    ['suspended', 'organization_suspended'],
  ])('%s since the request was let in: no key is made', async (state, code) => {
    await setState(state);
    await expect(create()).rejects.toMatchObject({ code });
    expect(await countKeys()).toBe(0);
    await setState('active');
  });

  test('deleted while keys are made: no key is left', async () => {
    await makeKey(one, acme.auth, ['org:read']);
    const attempts = Array.from({ length: 10 }, create);
    const url = '/org/delete';
    const deletion = other.app.inject({ method: 'DELETE', url, headers: acme.auth });
    await Promise.allSettled(attempts);
    expectStatus(await deletion, 200);
    await expect(create()).rejects.toMatchObject({ code: 'invalid_token' });
    expect(await countKeys()).toBe(0);
  });
});

describe('last use', () => {
  const stored = ({ id }: Made) =>
    cluster.db.collection('api_keys').findOne({ _id: new ObjectId(id) });

  test('is written down from time to time, all at once, and never backwards', async () => {
    const user = await cluster.instance();
    const key = await makeKey(one, acme.auth, ['member:read']);
    for (let n = 0; n < 5; n += 1) {
      expectStatus(await readRoles(user, withKey(key)), 200);
      cluster.clock.advance(1_000);
    }
    expect(await stored(key)).toMatchObject({ last_used_at: null });
    const last = new Date(cluster.clock.now().getTime() - 1_000);
    const later = await cluster.instance();
    const laterUse = cluster.clock.now();
    expectStatus(await readRoles(later, withKey(key)), 200);
    await user.services.recordLastUse();
    expect(await stored(key)).toMatchObject({ last_used_at: last });
    await later.services.recordLastUse();
    expect(await stored(key)).toMatchObject({ last_used_at: laterUse });
    const { data } = expectStatus(await listKeys(one, acme.auth), 200).json();
    expect(data.at(-1)).toMatchObject({ id: key.id, last_used_at: laterUse.toISOString() });
  });

  test('of a key that is gone brings nothing back, and a refused one is no use', async () => {
    const user = await cluster.instance();
    const [gone, unused] = [
      await makeKey(one, acme.auth, ['member:read']),
      await makeKey(one, acme.auth, ['member:read']),
    ];
    expectStatus(await readRoles(user, withKey(gone)), 200);
    expectStatus(await deleteKey(one, acme.auth, gone.id), 204);
    const wrong = unused.key.slice(0, -1);
    expectProblem(await readRoles(user, withKey({ key: wrong })), 401, 'invalid_token');
    await user.services.recordLastUse();
    expect(await stored(gone)).toBeNull();
    expect(await stored(unused)).toMatchObject({ last_used_at: null });
  });
});

test('a public route with a key that is no good is refused, and one without is not', async () => {
  const { organization_name } = acme.organization;
  const get = (headers: Partial<Auth>) =>
    one.app.inject({ url: '/org/get', query: { organization_name }, headers });
  expectProblem(await get(withKey({ key: makeApiKey().text })), 401, 'invalid_token');
  expectStatus(await get({}), 200);
  const key = await makeKey(one, acme.auth, ['org:read']);
  expect(expectStatus(await readOrganization(one, withKey(key)), 200).json()).toMatchObject({
    organization_name,
    members: 1,
  });
});
