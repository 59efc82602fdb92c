import type { Binary, Db, Document } from 'mongodb';
import { ADMINS } from '../../src/admins/admin-store.ts';
import { MASTER_COLLECTIONS } from '../../src/composition/stores.ts';
import type { Belonging, OwnerKind } from '../../src/database/collections.ts';
import { IDEMPOTENCY_KEYS } from '../../src/idempotency/idempotency-store.ts';
import { MEMBERSHIPS } from '../../src/members/membership-store.ts';
import { ORGANIZATIONS } from '../../src/registry/registry-store.ts';
import { SESSIONS } from '../../src/sessions/session-store.ts';
import { type Finding, ghost, lost, orphan } from './finding.ts';

/** What is in a database: the documents of every collection of the master database, and the tenants' collections. */
interface Snapshot {
  documents: Map<string, Document[]>;
  /** UUIDs by name. */
  collections: Map<string, string>;
}

/** Of what kind the documents are that can own others. */
const OWNERS: Readonly<Record<OwnerKind, string>> = {
  organization: ORGANIZATIONS.name,
  admin: ADMINS.name,
};

/**
 * Compares everything in a database with everything else in it: the invariants that hold whatever was done to the service,
 * in whatever order. Sees only what a plain driver sees, and asks the service nothing: what the service believes is what
 * is in question. Whose a document is it reads in the collections' own `belongsTo`, so a new collection needs nothing here.
 *
 * The database serves as master and tenant database both, and has to be at rest: nothing is read in one snapshot.
 * Collections that do not begin with `org_` are of no concern.
 *
 * @returns nothing when the registry and the `org_*` collections agree one to one, no organization is in a middle state or
 *   holds a name it does not have, and nothing belongs to what does not exist
 */
export async function checkConsistency(db: Db): Promise<Finding[]> {
  const snapshot = await snapshotOf(db);
  return [
    ...collectionFindings(snapshot),
    ...all(snapshot, ORGANIZATIONS).flatMap((one) => stateFindings(one, snapshot)),
    ...belongingFindings(snapshot),
    ...peopleFindings(snapshot),
    ...answerFindings(snapshot),
  ];
}

async function snapshotOf(db: Db): Promise<Snapshot> {
  const [infos, ...contents] = await Promise.all([
    db.listCollections({ name: /^org_/ }, { nameOnly: false }).toArray(),
    ...MASTER_COLLECTIONS.map(
      async ({ name }): Promise<[string, Document[]]> => [
        name,
        await db.collection(name).find().toArray(),
      ],
    ),
  ]);
  const collections = new Map(infos.map(({ name, info }) => [name, hexOf(info?.uuid)]));
  return { documents: new Map(contents), collections };
}

function all({ documents }: Snapshot, { name }: { name: string }): Document[] {
  return documents.get(name) ?? [];
}

function collectionFindings(snapshot: Snapshot): Finding[] {
  const { collections } = snapshot;
  const organizations = all(snapshot, ORGANIZATIONS);
  const registered = new Map(
    organizations.map((one) => [one.collection_name, hexOf(one.collection_uuid)]),
  );
  return [
    ...[...collections]
      .filter(([name, uuid]) => registered.get(name) !== uuid)
      .map(([name]) =>
        registered.has(name)
          ? ghost(`the collection ${name} is not the one its organization was given`)
          : ghost(`the collection ${name} belongs to no organization`),
      ),
    ...organizations
      .filter(({ collection_name }) => !collections.has(collection_name))
      .map(({ organization_name, collection_name, state }) =>
        lost(`the ${state} organization "${organization_name}" has no ${collection_name}`),
      ),
  ];
}

function stateFindings(organization: Document, snapshot: Snapshot): Finding[] {
  const { _id, organization_name, slug, skeleton, external_id, held, state } = organization;
  const findings: string[] = [];
  if (!['active', 'suspended', 'deleted'].includes(state)) findings.push(`is ${state}`);
  if ((organization.deletion !== undefined) !== (state === 'deleted'))
    findings.push(
      `is ${state}, ${organization.deletion ? 'with' : 'without'} a time to be purged at`,
    );
  if (organization.operation !== undefined)
    findings.push(`has an operation under way (${organization.operation.kind})`);
  const due = {
    slugs: [slug],
    skeletons: [skeleton],
    external_ids: external_id === undefined ? [] : [external_id],
  };
  for (const key of ['slugs', 'skeletons', 'external_ids'] as const)
    if (held[key].join('\0') !== due[key].join('\0'))
      findings.push(`holds the ${key} ${held[key].join(', ')}`);
  const owned = all(snapshot, MEMBERSHIPS).some(
    (one) => same(one.organization_id, _id) && one.role === 'owner',
  );
  if (!owned) findings.push('has no owner');
  return findings.map((finding) => orphan(`the organization "${organization_name}" ${finding}`));
}

/** Every document of every collection, by what the collection itself says of its fields. */
function belongingFindings(snapshot: Snapshot): Finding[] {
  const ids = (owner: OwnerKind) =>
    new Set(all(snapshot, { name: OWNERS[owner] }).map(({ _id }) => String(_id)));
  const known = { organization: ids('organization'), admin: ids('admin') };
  return MASTER_COLLECTIONS.flatMap((collection) => {
    const binding = (collection.belongsTo ?? []).filter(isBinding);
    return binding.flatMap(({ field, owner }) =>
      all(snapshot, collection).flatMap((document) =>
        idsAt(document, field)
          .filter((id) => !known[owner].has(id))
          .map((id) =>
            orphan(
              `${collection.name} ${document._id}: ${field} names the ${owner} ${id}, which does not exist`,
            ),
          ),
      ),
    );
  });
}

/** Whether the field has to name something that exists. */
function isBinding({ early, whenGone }: Belonging): boolean {
  return !early && whenGone !== 'keep';
}

function idsAt(document: Document, path: string): string[] {
  const value: unknown = path
    .split('.')
    .reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), document);
  return [value]
    .flat()
    .filter((id) => id !== undefined && id !== null)
    .map(String);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function peopleFindings(snapshot: Snapshot): Finding[] {
  const memberships = all(snapshot, MEMBERSHIPS);
  const members = new Set(memberships.map(({ admin_id }) => String(admin_id)));
  const joined = new Set(memberships.map((one) => `${one.organization_id} ${one.admin_id}`));
  return [
    ...all(snapshot, ADMINS)
      .filter(({ _id }) => !members.has(String(_id)))
      .map(({ email }) => orphan(`the admin ${email} belongs to nothing`)),
    ...all(snapshot, SESSIONS)
      .filter((one) => !joined.has(`${one.organization_id} ${one.admin_id}`))
      .map(({ _id }) => orphan(`the session ${_id} is of no member`)),
  ];
}

/**
 * A key without an answer is the lock of an attempt; it names an organization that may never have come to be. What an answer
 * says is sealed; one that is of no organization made one.
 */
function answerFindings(snapshot: Snapshot): Finding[] {
  const organizations = new Set(all(snapshot, ORGANIZATIONS).map(({ _id }) => String(_id)));
  return all(snapshot, IDEMPOTENCY_KEYS)
    .filter(
      ({ answer, organization_id }) => answer?.status === 201 && organization_id === undefined,
    )
    .filter((key) => !idsAt(key, 'subject_ids').some((id) => organizations.has(id)))
    .map(({ _id }) => orphan(`the idempotency key ${_id} answers for what does not exist`));
}

function hexOf(uuid: Binary | undefined): string {
  return uuid?.toString('hex') ?? 'none';
}

function same(a: unknown, b: unknown): boolean {
  return String(a) === String(b);
}
