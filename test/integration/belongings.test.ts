import { type Document, ObjectId } from 'mongodb';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ADMINS } from '../../src/admins/admin-store.ts';
import { MASTER_COLLECTIONS } from '../../src/composition/stores.ts';
import { Belongings } from '../../src/database/belongings.ts';
import type { MasterCollection } from '../../src/database/collections.ts';
import { MEMBERSHIPS } from '../../src/members/membership-store.ts';
import { ORGANIZATIONS } from '../../src/registry/registry-store.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions, placesNaming } from '../support/database-truth.ts';
import { deletion, stopAt } from '../support/lifecycle-scenarios.ts';
import { seedBelongings } from '../support/seeding.ts';
import { expectStatus, type SignedUp, signUpAndIn } from '../support/test-service.ts';

let cluster: Cluster;
let service: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  service = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

beforeEach(() => cluster.empty());

async function idsOf({ organization, signUp }: SignedUp) {
  const admin = await cluster.db.collection('admins').findOne({ email: signUp.email });
  if (admin === null) throw new Error('the account does not exist');
  return { organizationId: new ObjectId(organization.id), adminId: admin._id };
}

const remove = ({ auth: headers }: SignedUp) =>
  service.app.inject({ method: 'DELETE', url: '/org/delete', headers });

describe('a deletion, compared with the schema', () => {
  test('leaves nothing in any collection that belongs to the organization or to its admin', async () => {
    const acme = await signUpAndIn(service);
    const { organizationId, adminId } = await idsOf(acme);
    const places = [
      ...(await seedBelongings(cluster.db, 'organization', organizationId)),
      // A membership elsewhere would keep the account.
      ...(await seedBelongings(cluster.db, 'admin', adminId, [MEMBERSHIPS])),
    ];
    expect(places).toEqual(
      expect.arrayContaining(['sessions.organization_id', 'sessions.admin_id']),
    );
    expectStatus(await remove(acme), 200);
    const needles = [organizationId.toHexString(), adminId.toHexString(), acme.signUp.email];
    expect(await placesNaming(cluster.db, ...needles)).toEqual([]);
  });

  test('leaves everything that belongs to another organization and its admin', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    const { organizationId, adminId } = await idsOf(globex);
    await seedBelongings(cluster.db, 'organization', organizationId);
    await seedBelongings(cluster.db, 'admin', adminId, [MEMBERSHIPS]);
    const needles = [organizationId.toHexString(), adminId.toHexString()];
    const before = await placesNaming(cluster.db, ...needles);
    expectStatus(await remove(acme), 200);
    expect(await placesNaming(cluster.db, ...needles)).toEqual(before);
  });

  test('leaves what belongs to an admin who stays, but for what names the organization', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const globex = await signUpAndIn(service, { email, password });
    const { adminId } = await idsOf(globex);
    await seedBelongings(cluster.db, 'admin', adminId, [MEMBERSHIPS]);
    const places = async () => {
      const found = await placesNaming(cluster.db, adminId.toHexString());
      return found.filter((place) => !place.includes(acme.organization.id));
    };
    const before = await places();
    expectStatus(await remove(acme), 200);
    expect(await places()).toEqual(before);
  });

  test('that was interrupted right after it removed an account removes the rest of it', async () => {
    const attempt = await deletion.prepare(service);
    const other = await cluster.instance();
    await stopAt(other, { point: 'delete:sessions-ended' }, attempt);
    const organization = await cluster.db
      .collection('organizations')
      .findOne({ state: 'deleting' });
    const member = await cluster.db
      .collection('memberships')
      .findOne({ organization_id: organization?._id, role: 'admin' });
    await seedBelongings(cluster.db, 'admin', member?.admin_id, [MEMBERSHIPS]);
    await cluster.db.collection('admins').deleteOne({ _id: member?.admin_id });
    await cluster.expireLeases();
    expect(await service.services.recovery.recoverExpired()).toBe(1);
    expect(await placesNaming(cluster.db, String(member?.admin_id))).toEqual([]);
    await attempt.assertDone();
  });
});

describe('what belonged to owners that do not exist', () => {
  const LEFT_OVER = 'removed what belonged to owners that do not exist';
  const minutesAgo = (minutes: number) =>
    ObjectId.createFromTime(Math.floor(cluster.clock.now().getTime() / 1_000) - minutes * 60);

  test('is removed by reconciliation from every collection, once the owner would be old', async () => {
    await signUpAndIn(service);
    const before = await cluster.contents();
    const [organizationId, adminId] = [minutesAgo(59), minutesAgo(59)];
    // The membership of an organization that does not exist is a matter of its own, and of no age.
    await seedBelongings(cluster.db, 'organization', organizationId, [MEMBERSHIPS]);
    await seedBelongings(cluster.db, 'admin', adminId, [MEMBERSHIPS]);
    const seeded = await cluster.contents();
    service.logged.length = 0;
    expect(await service.services.reconciliation.run()).toMatchObject({ removed: 0 });
    expect(await cluster.contents()).toEqual(seeded);

    cluster.clock.advance(2 * 60_000);
    const { removed } = await service.services.reconciliation.run();
    expect(removed).toBeGreaterThan(0);
    expect(service.logged).toMatchObject([{ msg: LEFT_OVER, removed: { sessions: 2 } }]);
    const after = await cluster.contents();
    // Keys come before what they are of; and an account is what it is, whatever it remembers.
    expect({ ...after, idempotency_keys: [], admins: [] }).toEqual({ ...before, admins: [] });
    expect(after.admins?.filter((one) => one.last_organization_id?.equals(organizationId))).toEqual(
      [],
    );
    expect(await service.services.reconciliation.run()).toMatchObject({ removed: 0 });
  });

  test('stays while the owner is in any state', async () => {
    const acme = await signUpAndIn(service);
    const { organizationId } = await idsOf(acme);
    await seedBelongings(cluster.db, 'organization', organizationId, [MEMBERSHIPS, ADMINS]);
    cluster.clock.advance(2 * 3_600_000);
    const before = await cluster.contents();
    for (const state of ['provisioning', 'active', 'renaming', 'suspended', 'deleting'] as const) {
      const $set = { state };
      await cluster.db.collection('organizations').updateOne({ _id: organizationId }, { $set });
      await service.services.reconciliation.run();
      const { organizations: _, ...contents } = await cluster.contents();
      const { organizations: __, ...then } = before;
      expect(contents).toEqual(then);
    }
  });
});

describe('a field', () => {
  const THINGS: MasterCollection = {
    name: 'things',
    indexes: [],
    belongsTo: [
      { field: 'organization_id', owner: 'organization' },
      { field: 'of.admin_id', owner: 'admin', whenGone: 'clear' },
      { field: 'by_admin_id', owner: 'admin', whenGone: 'keep' },
      { field: 'early_ids', owner: 'organization', early: true },
    ],
  };
  const long = ObjectId.createFromTime(1_000_000);
  const now = new ObjectId();

  /** Of whom it was told that something may have changed. */
  const changed: ObjectId[] = [];

  function belongings(): Belongings {
    const owners = { organization: ORGANIZATIONS, admin: ADMINS };
    const collections = [...MASTER_COLLECTIONS, THINGS];
    const master = cluster.db;
    changed.length = 0;
    return new Belongings({
      ...{ master, collections, owners },
      changed: (...ids) => changed.push(...ids),
    });
  }

  async function things(...documents: Document[]) {
    const collection = cluster.db.collection<Document & { _id: number }>(THINGS.name);
    await collection.insertMany(documents.map((one, _id) => ({ ...one, _id })));
    return () => collection.find().sort({ _id: 1 }).toArray();
  }

  test('that removes, clears or keeps does so when its owner goes', async () => {
    const left = await things(
      { organization_id: now, n: 1 },
      { of: { admin_id: now, n: 2 } },
      { by_admin_id: now },
      { early_ids: [long, now] },
    );
    await belongings().eraseOf('admin', now);
    expect(await left()).toMatchObject([
      { organization_id: now },
      { of: { admin_id: null, n: 2 } },
      { by_admin_id: now },
      { early_ids: [long, now] },
    ]);
    await belongings().eraseOf('organization', now, [THINGS]);
    expect(await left()).toHaveLength(4);
    await belongings().eraseOf('organization', now);
    expect((await left()).map(({ _id }) => _id)).toEqual([1, 2]);
    expect(changed).toEqual([now]);
  });

  test('that names nobody does so, too, unless it is early or the owner’s id is young', async () => {
    const left = await things(
      { organization_id: long },
      { organization_id: now },
      { organization_id: null },
      { of: { admin_id: long, n: 4 } },
      { by_admin_id: long },
      { early_ids: [long] },
      { n: 7 },
    );
    const erased = await belongings().eraseOrphans(new Date(now.getTimestamp().getTime() - 1_000));
    expect(erased).toEqual({ things: 2 });
    expect(changed).toEqual([long, long]);
    expect(await left()).toMatchObject([
      { organization_id: now },
      { organization_id: null },
      { of: { admin_id: null, n: 4 } },
      { by_admin_id: long },
      { early_ids: [long] },
      { n: 7 },
    ]);
  });
});

test('reconciliation harms nothing that is being made, however old it says it is', async () => {
  // Ids of long ago, so that only the order in which things are written protects them.
  const objectId = () => {
    const id = new ObjectId();
    return new ObjectId(`00000001${id.toHexString().slice(8)}`);
  };
  const ids = { objectId, uuid: () => crypto.randomUUID() };
  let calls = 0;
  const other = await cluster.instance({
    ids,
    faults: async () => {
      calls += 1;
      expect(await service.services.reconciliation.run()).toMatchObject({ removed: 0 });
    },
  });
  const acme = await signUpAndIn(other);
  expect(calls).toBeGreaterThan(5);
  expect(await service.services.reconciliation.run()).toMatchObject({ removed: 0 });
  expectStatus(await other.app.inject({ url: '/org/get', headers: acme.auth }), 200);
  expect(await contradictions(cluster.db)).toEqual([]);
});
