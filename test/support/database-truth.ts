import { type Binary, BSON, type Db, type Document, type ObjectId } from 'mongodb';
import { expect } from 'vitest';
import { MASTER_COLLECTIONS } from '../../src/services.ts';

const MASTER_NAMES: readonly string[] = MASTER_COLLECTIONS.map(({ name }) => name);

/** The names of a database's collections that are not the master database's own, sorted. */
export async function tenantCollections(db: Db): Promise<string[]> {
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  return all
    .map(({ name }) => name)
    .filter((name) => !MASTER_NAMES.includes(name))
    .sort();
}

/** The UUID of a collection, or undefined when there is none of that name. */
export async function uuidOf(db: Db, name: string): Promise<string | undefined> {
  const [found] = await db.listCollections({ name }, { nameOnly: false }).toArray();
  return found?.info?.uuid?.toString('hex');
}

/** Every document of every collection, and every collection: what a `mongodump` would take. */
export async function contentsOf(db: Db): Promise<Record<string, Document[]>> {
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  const entries = all.map(async ({ name }): Promise<[string, Document[]]> => {
    return [name, await db.collection(name).find().sort({ _id: 1 }).toArray()];
  });
  return Object.fromEntries((await Promise.all(entries)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Asserts that nothing in the database changes meanwhile, be it done or half done. */
export async function changingNothing<T>(db: Db, work: () => Promise<T>): Promise<T> {
  const before = await contentsOf(db);
  const result = await work();
  expect(await contentsOf(db)).toEqual(before);
  return result;
}

/** Where in a database, collection names included, one of the texts occurs: ids as hex, e-mail addresses, names. */
export async function placesNaming(db: Db, ...needles: string[]): Promise<string[]> {
  const places: string[] = [];
  for (const [name, documents] of Object.entries(await contentsOf(db))) {
    const texts = [name, ...documents.map((document) => BSON.EJSON.stringify(document))];
    for (const text of texts)
      if (needles.some((needle) => text.includes(needle))) places.push(`${name}: ${text}`);
  }
  return places;
}

interface Truth {
  organizations: Document[];
  admins: Document[];
  memberships: Document[];
  sessions: Document[];
}

/**
 * Everything in a database at rest that contradicts something else in it: the invariants that hold whatever was done to
 * the service, in whatever order. Empty when all is well. Collections that do not begin with `org_` are of no concern.
 */
export async function contradictions(db: Db): Promise<string[]> {
  const all = (name: string) => db.collection(name).find().toArray();
  const [organizations, admins, memberships, sessions] = await Promise.all([
    all('organizations'),
    all('admins'),
    all('memberships'),
    all('sessions'),
  ]);
  const truth = { organizations, admins, memberships, sessions };
  return [
    ...(await collectionFaults(db, truth)),
    ...truth.organizations.flatMap((organization) => organizationFaults(organization, truth)),
    ...peopleFaults(truth),
  ];
}

async function collectionFaults(db: Db, { organizations }: Truth): Promise<string[]> {
  const found = await db.listCollections({ name: /^org_/ }, { nameOnly: false }).toArray();
  const inRegistry = new Map(
    organizations.map(({ collection_name, collection_uuid }) => [
      String(collection_name),
      uuidText(collection_uuid),
    ]),
  );
  const inDatabase = new Map(found.map(({ name, info }) => [name, uuidText(info?.uuid)]));
  const names = new Set([...inRegistry.keys(), ...inDatabase.keys()]);
  return [...names]
    .filter((name) => inRegistry.get(name) !== inDatabase.get(name))
    .map((name) => `${name}: ${inRegistry.get(name)} in the registry, ${inDatabase.get(name)}`);
}

function organizationFaults(organization: Document, { memberships }: Truth): string[] {
  const { _id, slug, skeleton, held, state, operation, external_id } = organization;
  const faults: string[] = [];
  const expected = {
    slugs: [slug],
    skeletons: [skeleton],
    external_ids: external_id === undefined ? [] : [external_id],
  };
  if (JSON.stringify(held) !== JSON.stringify(expected)) faults.push('holds other names');
  if (state !== 'active' || operation !== undefined) faults.push(`is ${state}, or busy`);
  const owned = memberships.some((one) => same(one.organization_id, _id) && one.role === 'owner');
  if (!owned) faults.push('has no owner');
  return faults.map((fault) => `organization ${_id} ${fault}`);
}

function peopleFaults({ organizations, admins, memberships, sessions }: Truth): string[] {
  const isOrganization = (id: ObjectId) => organizations.some(({ _id }) => same(_id, id));
  const isAdmin = (id: ObjectId) => admins.some(({ _id }) => same(_id, id));
  const belongs = (admin: ObjectId, organization?: ObjectId) =>
    memberships.some(
      ({ admin_id, organization_id }) =>
        same(admin_id, admin) &&
        (organization === undefined || same(organization_id, organization)),
    );
  return [
    ...memberships
      .filter((one) => !isOrganization(one.organization_id) || !isAdmin(one.admin_id))
      .map(({ _id }) => `membership ${_id} joins what does not exist`),
    ...admins.filter(({ _id }) => !belongs(_id)).map(({ _id }) => `admin ${_id} belongs nowhere`),
    ...admins
      .filter(({ last_organization_id: last }) => last !== null && !isOrganization(last))
      .map(({ _id }) => `admin ${_id} remembers an organization that does not exist`),
    ...sessions
      .filter((one) => !belongs(one.admin_id, one.organization_id))
      .map(({ _id }) => `session ${_id} is of nobody, or in no organization`),
  ];
}

function uuidText(uuid: Binary | undefined): string | undefined {
  return uuid?.toString('hex');
}

function same(a: ObjectId, b: ObjectId): boolean {
  return a.equals(b);
}
