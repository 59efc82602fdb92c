import { setTimeout as delay } from 'node:timers/promises';
import type { Db, ObjectId, UUID } from 'mongodb';
import type { AdminDocument } from '../../../src/admins/admin-document.ts';
import { ADMINS } from '../../../src/admins/admin-store.ts';
import type { IdempotencyDocument } from '../../../src/idempotency/idempotency-store.ts';
import { IDEMPOTENCY_KEYS } from '../../../src/idempotency/idempotency-store.ts';
import { MEMBERSHIPS, type MembershipDocument } from '../../../src/members/membership-store.ts';
import type { OrganizationDocument } from '../../../src/registry/organization-document.ts';
import { ORGANIZATIONS } from '../../../src/registry/registry-store.ts';
import { SESSIONS, type SessionDocument } from '../../../src/sessions/session-store.ts';
import { type Finding, ghost, lost, orphan } from './findings.ts';

/** How soon after a restart everything has to be consistent. */
const RECOVERY_LIMIT_MS = 5_000;
const POLL_MS = 50;

interface Snapshot {
  organizations: OrganizationDocument[];
  admins: AdminDocument[];
  memberships: MembershipDocument[];
  sessions: SessionDocument[];
  keys: IdempotencyDocument[];
  collections: { name: string; uuid: string }[];
}

/**
 * Compares everything in a database with everything else in it. Sees only what a plain driver sees, and asks the service
 * nothing: what the service believes is what is in question.
 *
 * The database serves as master and tenant database both, and has to be at rest: nothing is read in one snapshot.
 *
 * @returns nothing when the registry and the `org_*` collections agree one to one, no organization is in a middle state or
 *   holds a name it does not have, and no admin, membership, session or idempotent answer belongs to nothing
 */
export async function checkConsistency(db: Db): Promise<Finding[]> {
  const snapshot = await snapshotOf(db);
  return [
    ...collectionFindings(snapshot),
    ...snapshot.organizations.flatMap((organization) => stateFindings(organization, snapshot)),
    ...belongingFindings(snapshot),
  ];
}

/**
 * Waits until a database is consistent. To be so too late is a finding, too.
 *
 * @param since - by `performance.now()`; the limit of 5 s counts from there
 * @param allowanceMs - added to the limit
 * @returns how many milliseconds after `since` it was, and what was still wrong at the limit
 */
export async function untilConsistent(
  db: Db,
  since: number,
  allowanceMs = 0,
): Promise<{ gapMs: number; findings: Finding[] }> {
  const limitMs = RECOVERY_LIMIT_MS + allowanceMs;
  for (;;) {
    const findings = await checkConsistency(db);
    const gapMs = performance.now() - since;
    if (gapMs > limitMs && findings.length === 0)
      findings.push(orphan(`consistent only after ${Math.round(gapMs)} ms`));
    if (findings.length === 0 || gapMs > limitMs) return { gapMs, findings };
    await delay(POLL_MS);
  }
}

async function snapshotOf(db: Db): Promise<Snapshot> {
  const all = <T extends object>({ name }: { name: string }) =>
    db.collection(name).find<T>({}).toArray();
  const [organizations, admins, memberships, sessions, keys, infos] = await Promise.all([
    all<OrganizationDocument>(ORGANIZATIONS),
    all<AdminDocument>(ADMINS),
    all<MembershipDocument>(MEMBERSHIPS),
    all<SessionDocument>(SESSIONS),
    all<IdempotencyDocument>(IDEMPOTENCY_KEYS),
    db.listCollections({ name: /^org_/ }, { nameOnly: false }).toArray(),
  ]);
  const collections = infos.map(({ name, info }) => ({ name, uuid: hexOf(info?.uuid as UUID) }));
  return { organizations, admins, memberships, sessions, keys, collections };
}

function collectionFindings({ organizations, collections }: Snapshot): Finding[] {
  const registered = new Map(
    organizations.map((one) => [one.collection_name, hexOf(one.collection_uuid)]),
  );
  const existing = new Map(collections.map(({ name, uuid }) => [name, uuid]));
  return [
    ...collections
      .filter(({ name, uuid }) => registered.get(name) !== uuid)
      .map(({ name }) =>
        registered.has(name)
          ? ghost(`the collection ${name} is not the one its organization was given`)
          : ghost(`the collection ${name} belongs to no organization`),
      ),
    ...organizations
      .filter(({ collection_name }) => !existing.has(collection_name))
      .map(({ organization_name, collection_name, state }) =>
        lost(`the ${state} organization "${organization_name}" has no ${collection_name}`),
      ),
  ];
}

function stateFindings(organization: OrganizationDocument, { memberships }: Snapshot): Finding[] {
  const { _id, organization_name, slug, skeleton, external_id, held, state } = organization;
  const findings: string[] = [];
  if (state !== 'active' && state !== 'suspended') findings.push(`is ${state}`);
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
  if (!memberships.some((one) => one.organization_id.equals(_id) && one.role === 'owner'))
    findings.push('has no owner');
  return findings.map((finding) => orphan(`the organization "${organization_name}" ${finding}`));
}

function belongingFindings(snapshot: Snapshot): Finding[] {
  const { organizations, admins, memberships, sessions, keys } = snapshot;
  const isOrganization = membersOf(organizations.map(({ _id }) => _id));
  const isAdmin = membersOf(admins.map(({ _id }) => _id));
  const isMember = membersOf(memberships.map(({ admin_id }) => admin_id));
  const joined = new Set(memberships.map((one) => `${one.organization_id} ${one.admin_id}`));
  return [
    ...memberships
      .filter((one) => !isOrganization(one.organization_id) || !isAdmin(one.admin_id))
      .map(({ _id }) => orphan(`the membership ${_id} joins what does not exist`)),
    ...admins
      .filter(({ _id }) => !isMember(_id))
      .map(({ email }) => orphan(`the admin ${email} belongs to nothing`)),
    ...admins
      .filter(({ last_organization_id: last }) => last !== null && !isOrganization(last))
      .map(({ email }) => orphan(`the admin ${email} remembers what does not exist`)),
    ...sessions
      .filter((one) => !joined.has(`${one.organization_id} ${one.admin_id}`))
      .map(({ _id }) => orphan(`the session ${_id} is of no member`)),
    // A key without an answer is the lock of an attempt; it names an organization that may never have come to be.
    ...keys
      .filter(
        ({ answer, subject_ids }) => answer?.status === 201 && !subject_ids.some(isOrganization),
      )
      .map(({ _id }) => orphan(`the idempotency key ${_id} answers for what does not exist`)),
  ];
}

function membersOf(ids: readonly ObjectId[]): (id: ObjectId) => boolean {
  const known = new Set(ids.map((id) => id.toHexString()));
  return (id) => known.has(id.toHexString());
}

function hexOf(uuid: UUID | undefined): string {
  return uuid?.toString('hex') ?? 'none';
}
