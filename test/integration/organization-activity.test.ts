import { ObjectId } from 'mongodb';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { ActivityStore } from '../../src/registry/activity-store.ts';
import { apiOf } from '../support/api.ts';
import { makeKey, withKey } from '../support/api-keys.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { anOperator, ask, type TestOperator } from '../support/operators.ts';
import { anOrganization } from '../support/organizations.ts';
import { expectStatus, type SignedUp, signUpAndIn } from '../support/test-service.ts';

const MINUTE = 60_000;

// Without timers, so that a test decides when what is written down.
let cluster: Cluster;
let service: Instance;
let second: Instance;
let grace: TestOperator;
beforeAll(async () => {
  cluster = await Cluster.create();
  service = await cluster.instance();
  second = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});
beforeEach(async () => {
  // What was used in the test before is written down, so that it is not in this one.
  await service.services.recordLastUse();
  await cluster.empty();
  grace = await anOperator(service);
});

const get = async ({ organization }: SignedUp) =>
  expectStatus(await ask(service, 'GET', `/orgs/${organization.id}`, grace.auth), 200).json();
const now = () => cluster.clock.now().toISOString();
const use = ({ auth: headers }: SignedUp, by = service) => apiOf(by).get(undefined, { headers });
const measure = (by = service) => by.services.measurement.run();

test('last activity is that of the latest token or key, to a quarter of an hour', async () => {
  const acme = await signUpAndIn(service);
  const created = now();
  expect((await get(acme)).last_active_at).toBe(created);
  const key = await makeKey(service, acme.auth, ['org:read']);
  cluster.clock.advance(14 * MINUTE);
  expectStatus(await use(acme), 200);
  await service.services.recordLastUse();
  expect((await get(acme)).last_active_at).toBe(created);

  cluster.clock.advance(MINUTE);
  expectStatus(await apiOf(service).get(undefined, { headers: withKey(key) }), 200);
  await service.services.recordLastUse();
  const used = now();
  expect((await get(acme)).last_active_at).toBe(used);
  // Another instance, whose clock is behind, takes nothing back.
  const before = new Date(cluster.clock.now().getTime() - 20 * MINUTE);
  const uses = [{ id: new ObjectId(acme.organization.id), at: before }];
  await new ActivityStore(cluster.db).recordUse(uses);
  expect((await get(acme)).last_active_at).toBe(used);
});

test('what operators do to an organization is no use of it', async () => {
  const acme = await signUpAndIn(service);
  const { last_active_at } = await get(acme);
  cluster.clock.advance(60 * MINUTE);
  grace = await anOperator(service);
  for (const action of ['suspend', 'resume'])
    expectStatus(
      await ask(service, 'POST', `/orgs/${acme.organization.id}/${action}`, grace.auth),
      200,
    );
  await service.services.recordLastUse();
  expect((await get(acme)).last_active_at).toBe(last_active_at);
});

test('an organization is measured some minutes after it was used, once by all instances', async () => {
  const acme = await anOrganization(service);
  const idle = await anOrganization(service);
  cluster.clock.advance(15 * MINUTE);
  expectStatus(await use(acme), 200);
  await service.services.recordLastUse();
  expect(await measure()).toBe(0);
  expect(await get(acme)).toMatchObject({ records: 0, bytes: 0 });
  cluster.clock.advance(5 * MINUTE);
  const counts = await Promise.all([measure(), measure(second), measure(), measure(second)]);
  expect(counts.reduce((sum, count) => sum + count)).toBe(1);
  const measured = await get(acme);
  expect(measured).toMatchObject({ records: 2, measured_at: now() });
  expect(measured.bytes).toBeGreaterThan(50);
  expect(await get(idle)).toMatchObject({ records: 0, bytes: 0 });
  // Not used since: nothing to do.
  cluster.clock.advance(60 * MINUTE);
  expect(await measure()).toBe(0);
});

test('one that an instance began to measure and did not end is measured by another', async () => {
  const acme = await anOrganization(service);
  cluster.clock.advance(15 * MINUTE);
  expectStatus(await use(acme), 200);
  await service.services.recordLastUse();
  cluster.clock.advance(5 * MINUTE);
  // After the look at what is due there are the taking and the reading.
  const course = await second.stopper.during({ reply: 3 }, () => measure(second));
  expect(course.kind).toBe('stopped');
  expect(await measure()).toBe(0);
  cluster.clock.advance(MINUTE);
  expect(await measure()).toBe(1);
  expect(await get(acme)).toMatchObject({ records: 2 });
  await second.stopper.release();
});

test('one that was renamed or deleted meanwhile is no fault', async () => {
  const [acme, globex] = [await anOrganization(service), await anOrganization(service)];
  cluster.clock.advance(15 * MINUTE);
  for (const one of [acme, globex]) expectStatus(await use(one), 200);
  await service.services.recordLastUse();
  cluster.clock.advance(5 * MINUTE);
  service.logged.length = 0;
  const course = await second.stopper.during({ reply: 2 }, () => measure(second));
  const { headers } = { headers: acme.auth };
  const renamed = { organization_name: `${acme.signUp.organization_name} II` };
  expectStatus(await apiOf(service).update(renamed, { headers }), 200);
  expectStatus(await apiOf(service).remove({ headers: globex.auth }), 200);
  if (course.kind === 'stopped') await course.wakeUp();
  cluster.clock.advance(2 * MINUTE);
  await measure();
  grace = await anOperator(service);
  expect(await get(acme)).toMatchObject({ records: 2 });
  expect([...service.logged, ...second.logged]).toEqual([]);
});

test('organizations of an older release are listed, and measured, once an instance has seen to it', async () => {
  const acme = await anOrganization(service);
  const organizations = cluster.db.collection('organizations');
  const unset = { search_keys: '', measured: '', last_active_at: '', measure_at: '' };
  await organizations.updateMany({}, { $unset: unset });
  const list = async () => {
    const answer = await ask(service, 'GET', '/orgs?sort=size', grace.auth);
    return expectStatus(answer, 200).json().data;
  };
  expect(await get(acme)).toMatchObject({
    records: 0,
    last_active_at: (await get(acme)).created_at,
  });
  expect(await list()).toEqual([]);
  await Promise.all([measure(), measure(second)]);
  await measure();
  expect(await list()).toMatchObject([{ id: acme.organization.id, records: 2 }]);
});

test('none of it gets in the way of a change of the organization', async () => {
  const acme = await anOrganization(service);
  const organizations = cluster.db.collection('organizations');
  const version = (await organizations.findOne())?.version;
  cluster.clock.advance(15 * MINUTE);
  expectStatus(await use(acme), 200);
  await service.services.recordLastUse();
  cluster.clock.advance(5 * MINUTE);
  await measure();
  expect(await organizations.findOne()).toMatchObject({ version });
});
