import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectProblem } from '../support/api.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions, tenantCollections, uuidOf } from '../support/database-truth.ts';
import { gist } from '../support/gist.ts';
import {
  type Attempt,
  createWithNewAccount,
  deletion,
  rename,
  stopAt,
  updateOfEverything,
  updateWithoutMove,
} from '../support/lifecycle-scenarios.ts';
import { expectStatus, someSignUp } from '../support/test-service.ts';

let cluster: Cluster;
let first: Instance;
let second: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  first = await cluster.instance();
  second = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await cluster.empty();
  second.logged.length = 0;
});

async function recover(): Promise<void> {
  await cluster.expireLeases();
  expect(await second.services.recovery.recoverExpired()).toBe(1);
  expect(await second.services.recovery.operations()).toEqual([]);
}

const update = ({ auth: headers }: Attempt, payload: object) =>
  second.app.inject({ method: 'PUT', url: '/org/update', headers, payload });
const login = (payload: object) =>
  second.app.inject({ method: 'POST', url: '/admin/login', payload });

/** Puts a collection that is not the service's where an organization's is to be. */
async function foreignCollection(name: string): Promise<() => Promise<unknown>> {
  await cluster.db.collection(name).insertOne({ of: 'somebody else' });
  const look = async () => [
    await uuidOf(cluster.db, name),
    await cluster.db.collection(name).find().toArray(),
  ];
  const then = await look();
  return async () => expect(await look()).toEqual(then);
}

describe('a collection of somebody else', () => {
  test('is left alone when the creation it is in the way of is undone', async () => {
    const attempt = await createWithNewAccount.prepare(second);
    const answer = await stopAt(first, { point: 'create:reserved' }, attempt);
    const assertUntouched = await foreignCollection(attempt.target);
    await recover();
    const { [attempt.target]: foreign, ...contents } = await gist(cluster.db);
    expect(contents).toEqual(attempt.before);
    expectProblem(await answer(), 503, 'operation_interrupted');
    await assertUntouched();
  });

  test.for(['update:reserved', 'update:credentials-changed'] as const)(
    'undoes the update it is in the way of, credentials included, and signs nobody out: crashed at %s',
    async (point) => {
      const attempt = await updateOfEverything.prepare(second);
      const answer = await stopAt(first, { point }, attempt);
      const assertUntouched = await foreignCollection(attempt.target);
      await recover();
      expect(second.logged.map(({ msg }) => msg)).toEqual([
        'recovered an interrupted update: undone',
      ]);
      const { [attempt.target]: foreign, ...contents } = await gist(cluster.db);
      expect(contents).toEqual(attempt.before);
      expectStatus(await login(attempt.was), 200);
      expectProblem(
        await login({ ...attempt.signUp, organization_name: undefined }),
        401,
        'invalid_credentials',
      );
      expectProblem(await answer(), 503, 'operation_interrupted');
      await assertUntouched();
    },
  );

  test.for(['update:reserved', 'update:credentials-changed'] as const)(
    'undoes an update for good, also when it goes away before the instance goes on: %s',
    async (point) => {
      const attempt = await updateOfEverything.prepare(second);
      const answer = await stopAt(first, { point }, attempt);
      await foreignCollection(attempt.target);
      await recover();
      await cluster.db.dropCollection(attempt.target);
      expectProblem(await answer(), 503, 'operation_interrupted');
      expect(await gist(cluster.db)).toEqual(attempt.before);
    },
  );

  test('keeps an update from going on, but not from being finished by another instance', async () => {
    const attempt = await updateOfEverything.prepare(second);
    const started = await first.stopper.during({ point: 'update:credentials-changed' }, () =>
      attempt.act(first),
    );
    if (started.kind === 'ended') throw new Error('ended without it');
    await foreignCollection(attempt.target);
    // It has looked at its lease, and been told that it cannot move the collection: about to undo the update.
    const refused = await started.goOn({ reply: 2 });
    await cluster.db.dropCollection(attempt.target);
    await recover();
    if (refused.kind === 'ended') throw new Error('ended without it');
    expectProblem(await refused.wakeUp(), 503, 'operation_interrupted');
    await attempt.assertDone();
  });

  test('is not what is answered when another instance has finished the update since', async () => {
    const attempt = await rename.prepare(second);
    const reserved = await first.stopper.during({ point: 'update:reserved' }, () =>
      attempt.act(first),
    );
    // It has seen that the name is free, and that its lease holds.
    const free = reserved.kind === 'stopped' && (await reserved.goOn({ reply: 2 }));
    await foreignCollection(attempt.target);
    // It has been refused the name: about to decide that the update is undone.
    const refused = free && free.kind === 'stopped' && (await free.goOn({ reply: 1 }));
    await cluster.db.dropCollection(attempt.target);
    await recover();
    if (!refused || refused.kind === 'ended') throw new Error('ended without it');
    expectProblem(await refused.wakeUp(), 503, 'operation_interrupted');
    await attempt.assertDone();
  });

  test('that comes after a rename is not in its way', async () => {
    const attempt = await updateOfEverything.prepare(second);
    await stopAt(first, { point: 'update:collection-renamed' }, attempt);
    const assertUntouched = await foreignCollection(`org_${attempt.was.organization_name}`);
    await recover();
    await assertUntouched();
    await cluster.db.dropCollection(`org_${attempt.was.organization_name}`);
    await attempt.assertDone();
  });

  /** A view is no collection, so looking for one does not find it: it is met half-way. */
  test('undoes an update half-way without a crash as well: nobody is signed out', async () => {
    const attempt = await updateWithoutMove.prepare(second);
    const { organization_name, email, password } = someSignUp({ password: 'a new password 4711' });
    const target = `org_${organization_name.toLowerCase().replaceAll(' ', '_')}`;
    await cluster.db.createCollection(target, { viewOn: 'admins' });
    const change = { organization_name, email, password, external_id: 'x' };
    expectProblem(await update(attempt, change), 409, 'collection_name_taken');
    await cluster.db.dropCollection(target);
    const { 'system.views': views, ...contents } = await gist(cluster.db);
    expect(contents).toEqual(attempt.before);
    expect(await contradictions(cluster.db)).toEqual([]);
  });
});

describe('what else happens before an update is recovered', () => {
  test('the e-mail address goes to somebody else: all of it is undone', async () => {
    const attempt = await updateOfEverything.prepare(second);
    await stopAt(first, { point: 'update:reserved' }, attempt);
    const { email } = attempt.signUp;
    const payload = someSignUp({ email });
    expectStatus(await second.app.inject({ method: 'POST', url: '/org/create', payload }), 201);
    await recover();
    expect(await contradictions(cluster.db)).toEqual([]);
    expectStatus(await login(attempt.was), 200);
    expectStatus(await login(payload), 200);
    const found = await second.app.inject({ url: '/org/get', headers: attempt.auth });
    expect(found.json()).toMatchObject({ ...named(attempt.was), metadata: {}, external_id: null });
  });

  test('credentials not changed yet are changed by another request: that one lasts', async () => {
    const attempt = await updateOfEverything.prepare(second);
    await stopAt(first, { point: 'update:reserved' }, attempt);
    const { email } = someSignUp();
    expectStatus(await update(attempt, { email }), 200);
    await recover();
    expectStatus(await login({ ...attempt.was, email }), 200);
    expect(await contradictions(cluster.db)).toEqual([]);
  });

  test('credentials already changed are changed again: both last', async () => {
    const attempt = await updateOfEverything.prepare(second);
    await stopAt(first, { point: 'update:credentials-changed' }, attempt);
    expectStatus(await update(attempt, { password: 'a still newer one' }), 200);
    await recover();
    expectStatus(await login({ ...attempt.signUp, password: 'a still newer one' }), 200);
    expect(await contradictions(cluster.db)).toEqual([]);
  });

  test('a change that looks like its own is not taken back with it', async () => {
    const attempt = await updateOfEverything.prepare(second);
    await stopAt(first, { point: 'update:reserved' }, attempt);
    const { email } = attempt.signUp;
    expectStatus(await update(attempt, { email }), 200);
    await foreignCollection(attempt.target);
    await recover();
    expectStatus(await login({ ...attempt.was, email }), 200);
  });

  test('the collection is moved by hand: the update finds it, and gives it the new name', async () => {
    const attempt = await updateOfEverything.prepare(second);
    await stopAt(first, { point: 'update:reserved' }, attempt);
    const { organization_name } = attempt.was;
    const was = await cluster.db.collection('organizations').findOne({ organization_name });
    await cluster.db.collection(String(was?.collection_name)).rename('org_elsewhere');
    await recover();
    await attempt.assertDone();
    expect(await contradictions(cluster.db)).toEqual([]);
  });

  test('the collection is dropped by hand: the update ends, and the loss is reported', async () => {
    const attempt = await updateOfEverything.prepare(second);
    await stopAt(first, { point: 'update:reserved' }, attempt);
    for (const name of await tenantCollections(cluster.db)) await cluster.db.dropCollection(name);
    await recover();
    const found = await second.app.inject({ url: '/org/get', headers: attempt.auth });
    expect(found.json()).toMatchObject({ ...named(attempt.was), status: 'active' });
    expect(await second.services.reconciliation.run()).toMatchObject({ missing: 2 });
  });
});

test('a deletion whose collection was dropped by hand comes to its end', async () => {
  const attempt = await deletion.prepare(second);
  await stopAt(first, { point: 'delete:marked' }, attempt);
  await cluster.db.dropCollection(attempt.target);
  await recover();
  await attempt.assertDone();
});

test('two organizations of one person, deleted side by side by instances that crash, leave no account', async () => {
  const signUp = someSignUp();
  const { email, password } = signUp;
  const payloads = [signUp, someSignUp({ email, password })];
  for (const payload of payloads)
    expectStatus(await second.app.inject({ method: 'POST', url: '/org/create', payload }), 201);
  const courses = await Promise.all(
    payloads.map(async (payload) => {
      const { stopper, app } = await cluster.instance();
      const headers = { authorization: `Bearer ${(await login(payload)).json().access_token}` };
      // Both have looked whether the account belongs elsewhere before either has removed a membership.
      return stopper.during({ point: 'delete:account-removed' }, () =>
        app.inject({ method: 'DELETE', url: '/org/delete', headers }),
      );
    }),
  );
  for (const course of courses)
    if (course.kind === 'stopped') await course.goOn({ point: 'delete:membership-removed' });
  await cluster.expireLeases();
  expect(await second.services.recovery.recoverExpired()).toBe(2);
  expect(await contradictions(cluster.db)).toEqual([]);
  expect(await cluster.db.collection('admins').countDocuments()).toBe(0);
});

test('an operation that cannot be ended is logged, keeps none of the others, and is tried again', async () => {
  const attempt = await deletion.prepare(second);
  await stopAt(first, { point: 'delete:marked' }, attempt);
  const another = await cluster.instance();
  await stopAt(another, { point: 'create:reserved' }, await createWithNewAccount.prepare(second));
  const failing = await cluster.instance({
    faults: async (point) => {
      if (point === 'delete:collection-dropped') throw new Error('a bug');
    },
  });
  await cluster.expireLeases();
  expect(await failing.services.recovery.recoverExpired()).toBe(1);
  expect(failing.logged.map(({ msg }) => msg).sort()).toEqual([
    'could not end an interrupted operation; will try again',
    'recovered an interrupted create: undone',
  ]);
  const [left] = await second.services.recovery.operations();
  expect(left).toMatchObject({ kind: 'delete', attempts: 2 });
  await recover();
  expect(await contradictions(cluster.db)).toEqual([]);
});

function named({ organization_name }: { organization_name: string }) {
  return { organization_name };
}
