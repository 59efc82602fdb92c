import { ObjectId, UUID } from 'mongodb';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ReconciliationReport } from '../../src/tenants/reconciliation.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions, tenantCollections, uuidOf } from '../support/database-truth.ts';
import { gist } from '../support/gist.ts';
import { SCENARIOS, stopAt } from '../support/lifecycle-scenarios.ts';
import { expectStatus, signUpAndIn, someSignUp } from '../support/test-service.ts';

// A test goes through every instant of an operation.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let service: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  service = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await cluster.empty();
  service.logged.length = 0;
});

const NOTHING = { dropped: 0, orphaned: 0, realigned: 0, missing: 0, removed: 0 };
const reconcile = () => service.services.reconciliation.run();
const messages = () => service.logged.map(({ msg }) => msg);

async function expectReport(report: Partial<ReconciliationReport>, ...logged: string[]) {
  service.logged.length = 0;
  expect(await reconcile()).toEqual({ ...NOTHING, ...report });
  expect(messages()).toEqual(logged);
}

/** A collection that says it is of an organization. */
function tagged(name: string, id: string, installation = cluster.db.databaseName) {
  const validator = { $comment: `tenantry/${installation}/${id}` };
  return cluster.db.createCollection(name, { validator });
}

/** An organization with a document in it. */
async function anOrganization() {
  const signedUp = await signUpAndIn(service);
  const id = ObjectId.createFromHexString(signedUp.organization.id);
  const collection = await service.services.tenantCollection(id);
  await collection.insertMany([{ n: 1 }]);
  return { ...signedUp, id, name: signedUp.organization.collection_name };
}

const organizations = () => cluster.db.collection('organizations');

test('where everything agrees nothing is done', async () => {
  await anOrganization();
  const before = await cluster.contents();
  await expectReport({});
  expect(await cluster.contents()).toEqual(before);
});

describe('a collection of an organization that does not exist', () => {
  const id = new ObjectId().toHexString();
  const DROPPED = 'dropped the empty collection of an organization that does not exist';
  const KEPT = 'a collection holds documents of an organization that does not exist';

  test('is dropped if it is empty', async () => {
    const { name } = await anOrganization();
    await tagged('org_orphan', id);
    await expectReport({ dropped: 1 }, DROPPED);
    expect(service.logged[0]).toMatchObject({ collection: 'org_orphan', organization_id: id });
    expect(await tenantCollections(cluster.db)).toEqual([name]);
    await expectReport({});
  });

  test('is kept and reported, again and again, if it holds a document', async () => {
    const collection = await tagged('org_orphan', id);
    await collection.insertOne({ n: 1 });
    await expectReport({ orphaned: 1 }, KEPT);
    await expectReport({ orphaned: 1 }, KEPT);
    expect(await collection.countDocuments()).toBe(1);
  });

  test.for([
    ['of another installation', { $comment: `tenantry/another_master/${id}` }],

    ['with a remark of somebody else', { $comment: 'ours; do not touch' }],
    ['without a remark', { n: { $gt: 0 } }],
    ['with a remark that is no text', { $comment: { tenantry: id } }],
  ] as const)('is never touched if it is a collection %s', async ([, validator]) => {
    await cluster.db.createCollection('org_foreign', { validator });
    await cluster.db.createCollection('orders', { validator });
    const then = [await uuidOf(cluster.db, 'org_foreign'), await uuidOf(cluster.db, 'orders')];
    await expectReport({});
    const now = [await uuidOf(cluster.db, 'org_foreign'), await uuidOf(cluster.db, 'orders')];
    expect(now).toEqual(then);
  });

  test.for(['', 'zz', `${id}0`])(
    'is never touched if its remark names no id: "%s"',
    async (other) => {
      await tagged('org_foreign', other);
      await expectReport({});
      expect(await tenantCollections(cluster.db)).toEqual(['org_foreign']);
    },
  );
});

describe("an organization's collection", () => {
  const REALIGNED = "gave an organization's collection its name back";
  const MISSING = "an organization's collection does not exist";

  test('that has another name is given its own back, with what it holds', async () => {
    const { id, name } = await anOrganization();
    const uuid = await uuidOf(cluster.db, name);
    await cluster.db.collection(name).rename('org_moved');
    await expectReport({ realigned: 1 }, REALIGNED);
    expect(await uuidOf(cluster.db, name)).toBe(uuid);
    expect(await (await service.services.tenantCollection(id)).count()).toBe(1);
    expect(await contradictions(cluster.db)).toEqual([]);
    await expectReport({});
  });

  test('that has a name which does not begin like one is found all the same', async () => {
    const { name } = await anOrganization();
    await cluster.db.collection(name).rename('moved by hand');
    await expectReport({ realigned: 1 }, REALIGNED);
    expect(await contradictions(cluster.db)).toEqual([]);
  });

  test('stays where it is, within reach, while somebody else has its name', async () => {
    const { id, name } = await anOrganization();
    await cluster.db.collection(name).rename('org_moved');
    await cluster.db.createCollection(name);
    await expectReport({});
    expect(await (await service.services.tenantCollection(id)).count()).toBe(1);
    const found = await organizations().findOne({ _id: id });
    expect(found).toMatchObject({ state: 'active', collection_name: name });
    expect(found).not.toHaveProperty('operation');
  });

  test('stays where it is while the organization is suspended, which it stays as well', async () => {
    const { id, name } = await anOrganization();
    await organizations().updateOne({ _id: id }, { $set: { state: 'suspended' } });
    await cluster.db.collection(name).rename('org_moved');
    await expectReport({});
    expect(await organizations().findOne({ _id: id })).toMatchObject({ state: 'suspended' });
  });

  test('that was dropped by hand is reported', async () => {
    const { id, name } = await anOrganization();
    await cluster.db.dropCollection(name);
    await expectReport({ missing: 1 }, MISSING);
    expect(service.logged[0]).toMatchObject({ collection: name, organization_id: `${id}` });
    await cluster.db.createCollection(name);
    await expectReport({ missing: 1 }, MISSING);
    expect(await tenantCollections(cluster.db)).toEqual([name]);
  });

  test('that the registry knows by another UUID is reported, and what is there is left', async () => {
    const { id, name } = await anOrganization();
    const $set = { collection_uuid: new UUID() };
    await organizations().updateOne({ _id: id }, { $set });
    await expectReport({ missing: 1 }, MISSING);
    expect(await tenantCollections(cluster.db)).toEqual([name]);
  });
});

describe('people', () => {
  const REMOVED = 'removed memberships and accounts that belonged to nothing';
  const admins = () => cluster.db.collection('admins');
  const anAccount = { password: { scheme: 'bcrypt', hash: '' }, membership_version: 0 };

  test('of an organization that does not exist are removed, with its memberships', async () => {
    const { id, name } = await anOrganization();
    await anOrganization();
    await organizations().deleteOne({ _id: id });
    await cluster.db.dropCollection(name);
    await expectReport({ removed: 1 }, REMOVED);
    expect(await contradictions(cluster.db)).toEqual([]);
    expect(await admins().countDocuments()).toBe(1);
    expect(await cluster.db.collection('sessions').countDocuments()).toBe(1);
    await expectReport({});
  });

  test('who belong to another organization as well keep their account', async () => {
    const { signUp, organization } = await anOrganization();
    const admin = await admins().findOne({ email: signUp.email });
    await cluster.db.collection('memberships').insertOne({
      organization_id: new ObjectId(),
      admin_id: admin?._id,
      role: 'owner',
      created_at: new Date(),
    });
    await expectReport({ removed: 1 }, REMOVED);
    expect(await admins().countDocuments()).toBe(1);
    expect(await contradictions(cluster.db)).toEqual([]);
    const login = { ...signUp, organization_name: organization.organization_name };
    expectStatus(
      await service.app.inject({ method: 'POST', url: '/admin/login', payload: login }),
      200,
    );
  });

  test('who belong to nothing are removed once no sign-up can still be about to add them', async () => {
    const now = cluster.clock.now().getTime();
    const minutesAgo = (minutes: number) => new Date(now - minutes * 60_000);
    await admins().insertMany([
      { ...anAccount, email: 'old@acme.example', created_at: minutesAgo(61) },
      { ...anAccount, email: 'young@acme.example', created_at: minutesAgo(59) },
    ]);
    await expectReport({ removed: 1 }, REMOVED);
    expect(await admins().distinct('email')).toEqual(['young@acme.example']);
    cluster.clock.advance(2 * 60_000);
    await expectReport({ removed: 1 }, REMOVED);
    expect(await admins().countDocuments()).toBe(0);
  });
});

test.for(SCENARIOS)(
  'what an operation is responsible for is left to it: $name',
  async (scenario) => {
    const other = await cluster.instance();
    for (const instant of scenario.instants) {
      await cluster.empty();
      const attempt = await scenario.prepare(service);
      await stopAt(other, instant, attempt);
      const before = await cluster.contents();
      await expectReport({});
      expect(await cluster.contents()).toEqual(before);
    }
  },
);

test('never harms an organization that is being created, renamed, written to or deleted', async () => {
  const other = await cluster.instance();
  const living = Array.from({ length: 3 }, async () => {
    for (let cycle = 0; cycle < 5; cycle += 1) await lifeOf(other);
  });
  const end = Promise.all(living).then(() => true);
  const soFar = new Promise<false>((resolve) => setImmediate(resolve, false));
  let ended = false;
  while (!ended) {
    await expectReport({});
    ended = await Promise.race([end, soFar]);
  }
  expect(await contradictions(cluster.db)).toEqual([]);
  expect(await gist(cluster.db)).toMatchObject({ organizations: [], admins: [], sessions: [] });
});

/** An organization that is created, renamed there and back, and deleted, with a document that goes through all of it. */
async function lifeOf({ app, services }: Instance): Promise<void> {
  const { signUp, organization, auth: headers } = await signUpAndIn({ app });
  const collection = await services.tenantCollection(ObjectId.createFromHexString(organization.id));
  for (const organization_name of [someSignUp().organization_name, signUp.organization_name]) {
    await collection.insertMany([{ organization_name }]);
    const payload = { organization_name };
    expectStatus(await app.inject({ method: 'PUT', url: '/org/update', headers, payload }), 200);
  }
  expect(await collection.count()).toBe(2);
  expectStatus(await app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
}
