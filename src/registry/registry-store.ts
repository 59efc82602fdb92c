import type { Collection, Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { OrganizationName } from '../tenants/organization-name.ts';
import { REQUIRED_LIST_INDEXES } from './list-indexes.ts';
import { NameConflicts, type WantedNames } from './name-conflicts.ts';
import { type OrganizationChange, unchanged } from './organization-change.ts';
import {
  type OrganizationDocument,
  type OrganizationState,
  type QuotaDocument,
  SERVING_STATES,
} from './organization-document.ts';

export const ORGANIZATIONS: MasterCollection = {
  name: 'organizations',
  indexes: [
    { name: 'held_slugs', key: { 'held.slugs': 1 }, unique: true },
    { name: 'held_skeletons', key: { 'held.skeletons': 1 }, unique: true },
    {
      name: 'held_external_ids',
      key: { 'held.external_ids': 1 },
      unique: true,
      partialFilterExpression: { 'held.external_ids': { $type: 'string' } },
    },
    ...REQUIRED_LIST_INDEXES,
    {
      name: 'measure_at',
      key: { measure_at: 1 },
      partialFilterExpression: { measure_at: { $type: 'date' } },
    },
    {
      name: 'purge_at',
      key: { 'deletion.purge_at': 1 },
      partialFilterExpression: { 'deletion.purge_at': { $type: 'date' } },
    },
    // Only documents with work under way are in it, so that looking for stuck work costs nothing.
    {
      name: 'operation_leases',
      key: { 'operation.lease_expires_at': 1 },
      partialFilterExpression: { 'operation.lease_expires_at': { $type: 'date' } },
    },
    // Counts the organizations in each state without reading them.
    { name: 'states', key: { state: 1 } },
  ],
  // An operation ends by itself, and knows what to do when the person is gone.
  belongsTo: [
    { field: 'operation.owner_admin_id', owner: 'admin', whenGone: 'keep' },
    { field: 'operation.credentials.admin_id', owner: 'admin', whenGone: 'keep' },
  ],
};

/** An organization being created is not there yet, one being deleted is not there any more. */
const VISIBLE_STATES: OrganizationState[] = [...SERVING_STATES, 'suspended'];

/**
 * The registry: the `organizations` collection of the master database. Here are look-ups, and changes in one step; what
 * takes several is {@link OperationStore}'s.
 */
export class RegistryStore {
  readonly #organizations: Collection<OrganizationDocument>;
  readonly #names: NameConflicts;

  constructor(master: Db) {
    this.#organizations = masterCollection<OrganizationDocument>(master, ORGANIZATIONS);
    this.#names = new NameConflicts(this.#organizations);
  }

  /** @returns the organization in any state, or null */
  findById(id: ObjectId): Promise<OrganizationDocument | null> {
    return retryTransient(() => this.#organizations.findOne({ _id: id }, withinDeadline()));
  }

  /** @returns the state the organization is in, or null when there is none of that id */
  async stateOf(id: ObjectId): Promise<OrganizationState | null> {
    const found = await retryTransient(() =>
      this.#organizations.findOne({ _id: id }, { ...withinDeadline(), projection: { state: 1 } }),
    );
    return found?.state ?? null;
  }

  /** @returns what operators have set for the organization, or null when there is none of that id */
  async quotaOf(id: ObjectId): Promise<QuotaDocument | null> {
    const found = await retryTransient(() =>
      this.#organizations.findOne({ _id: id }, { ...withinDeadline(), projection: { quota: 1 } }),
    );
    return found && (found.quota ?? {});
  }

  /** Sets an organization's quota, whatever else is being done to it. @returns false when there is none of that id */
  async setQuota(id: ObjectId, quota: QuotaDocument): Promise<boolean> {
    const set = await retryTransient(() =>
      this.#organizations.updateOne({ _id: id }, { $set: { quota } }, withinDeadline()),
    );
    return set.matchedCount === 1;
  }

  /** Whether an organization is still as it was seen, with no operation under way. */
  async isUnchanged(seen: OrganizationDocument): Promise<boolean> {
    const found = await retryTransient(() =>
      this.#organizations.findOne(unchanged(seen), { ...withinDeadline(), projection: { _id: 1 } }),
    );
    return found !== null;
  }

  /** @returns the organization of that name that is past its creation and not being deleted, or null */
  findByName(name: OrganizationName): Promise<OrganizationDocument | null> {
    return retryTransient(() =>
      this.#organizations.findOne(
        {
          'held.slugs': name.slug,
          name_key: name.key,
          state: { $in: VISIBLE_STATES },
        },
        withinDeadline(),
      ),
    );
  }

  /** As {@link findByName}, by the product's own id for it. */
  findByExternalId(externalId: string): Promise<OrganizationDocument | null> {
    return retryTransient(() =>
      this.#organizations.findOne(
        {
          'held.external_ids': externalId,
          external_id: externalId,
          state: { $in: VISIBLE_STATES },
        },
        withinDeadline(),
      ),
    );
  }

  /** Tells early that a name is taken. The unique indexes decide in the end. @throws the conflicts of names */
  async assertNameFree(name: OrganizationName): Promise<void> {
    const conflict = await this.#names.find(name);
    if (conflict !== undefined) throw conflict;
  }

  /** @returns those of the ids that exist for their members, suspended ones included, in no order */
  findVisible(ids: readonly ObjectId[]): Promise<OrganizationDocument[]> {
    return retryTransient(() =>
      this.#organizations
        .find({ _id: { $in: [...ids] }, state: { $in: VISIBLE_STATES } }, withinDeadline())
        .toArray(),
    );
  }

  /** @returns how many organizations there are, from the collection's metadata: a constant-time figure */
  count(): Promise<number> {
    return retryTransient(() => this.#organizations.estimatedDocumentCount(withinDeadline()));
  }

  /** @returns the organization in any state that has the id in the product */
  findInAnyStateByExternalId(externalId: string): Promise<OrganizationDocument | null> {
    // One that is being given it does not have it yet.
    const filter = { 'held.external_ids': externalId, external_id: externalId };
    return retryTransient(() => this.#organizations.findOne(filter, withinDeadline()));
  }

  /**
   * Deletes an organization that is active or suspended, for as long as a grace period lasts. In one step, by the database's
   * clock.
   *
   * @param id - names this deletion
   * @returns the new document, or null when it has changed since `seen`
   */
  markDeleted(
    seen: OrganizationDocument,
    id: ObjectId,
    graceMs: number,
  ): Promise<OrganizationDocument | null> {
    const purge_at = { $add: ['$$NOW', graceMs] };
    const fields = {
      state: 'deleted',
      deletion: { id, at: '$$NOW', purge_at, from: '$state' },
      version: { $add: ['$version', 1] },
    };
    const restful = { state: { $in: ['active', 'suspended'] as OrganizationState[] } };
    return retryTransient(async () => {
      const marked = await this.#organizations.findOneAndUpdate(
        { $and: [unchanged(seen), restful] },
        [{ $set: fields }],
        { ...withinDeadline(), returnDocument: 'after' },
      );
      // A retry after a lost answer finds its own deletion.
      const own = { _id: seen._id, state: 'deleted' as const, 'deletion.id': id };
      return marked ?? this.#organizations.findOne(own, withinDeadline());
    });
  }

  /** Takes a deletion back within its grace period. @returns the new document, or null when it has changed since `seen` */
  async restore(seen: OrganizationDocument): Promise<OrganizationDocument | null> {
    const isInTime = { $expr: { $gt: ['$deletion.purge_at', '$$NOW'] } };
    const fields = { state: '$deletion.from', version: { $add: ['$version', 1] } };
    return retryTransient(() =>
      this.#organizations.findOneAndUpdate(
        { $and: [unchanged(seen), { state: 'deleted' }, isInTime] },
        [{ $set: fields }, { $unset: 'deletion' }],
        { ...withinDeadline(), returnDocument: 'after' },
      ),
    );
  }

  /** Deleted organizations whose grace period is over, longest over first. */
  dueToPurge(limit: number): Promise<OrganizationDocument[]> {
    const due = {
      state: 'deleted' as const,
      'deletion.purge_at': { $type: 'date' as const },
      $expr: { $lte: ['$deletion.purge_at', '$$NOW'] },
    };
    return retryTransient(() =>
      this.#organizations
        .find(due, withinDeadline())
        .sort({ 'deletion.purge_at': 1 })
        .limit(limit)
        .toArray(),
    );
  }

  /** @returns how many organizations are in each state, from an index: some milliseconds for thousands */
  async countByState(): Promise<Record<OrganizationState, number>> {
    const counts: Record<OrganizationState, number> = {
      ...{ provisioning: 0, active: 0, renaming: 0, suspended: 0, deleted: 0, deleting: 0 },
    };
    const states = Object.keys(counts) as OrganizationState[];
    const found = await retryTransient(() =>
      this.#organizations
        .aggregate<{ _id: OrganizationState; count: number }>(
          [
            { $match: { state: { $in: states } } },
            { $group: { _id: '$state', count: { $sum: 1 } } },
          ],
          withinDeadline(),
        )
        .toArray(),
    );
    for (const { _id, count } of found) counts[_id] = count;
    return counts;
  }

  /** Every organization with no operation under way, for comparison with the collections that exist. */
  settled(): AsyncIterable<OrganizationDocument> {
    return this.#organizations.find({ operation: { $exists: false } });
  }

  /** Changes an organization on which no operation is under way, in one step. @returns the new document, or null when it has changed since `seen` */
  async update(
    seen: OrganizationDocument,
    change: OrganizationChange,
    wanted?: WantedNames,
  ): Promise<OrganizationDocument | null> {
    return this.#names.refusingTaken(wanted, () =>
      this.#organizations.findOneAndUpdate(
        unchanged(seen),
        { ...change, $inc: { version: 1 } },
        { ...withinDeadline(), returnDocument: 'after' },
      ),
    );
  }
}
