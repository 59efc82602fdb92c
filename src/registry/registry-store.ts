import type { Collection, Db, Document, Filter, ObjectId, UpdateFilter, UUID } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { literal } from '../database/update-pipeline.ts';
import type { AppError } from '../errors.ts';
import type { OrganizationName } from '../tenants/organization-name.ts';
import {
  type OperationDocument,
  type OrganizationDocument,
  type OrganizationState,
  SERVING_STATES,
} from './organization-document.ts';
import {
  CollectionNameTakenError,
  ConfusableNameError,
  ExternalIdTakenError,
  OperationLostError,
  OrganizationBusyError,
  OrganizationNameTakenError,
} from './registry-errors.ts';

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
    // Only documents with work under way are in it, so that looking for stuck work costs nothing.
    {
      name: 'operation_leases',
      key: { 'operation.lease_expires_at': 1 },
      partialFilterExpression: { 'operation.lease_expires_at': { $type: 'date' } },
    },
  ],
  // An operation ends by itself, and knows what to do when the person is gone.
  belongsTo: [
    { field: 'operation.owner_admin_id', owner: 'admin', whenGone: 'keep' },
    { field: 'operation.credentials.admin_id', owner: 'admin', whenGone: 'keep' },
  ],
};

/** An organization being created is not there yet, one being deleted is not there any more. */
const VISIBLE_STATES: OrganizationState[] = [...SERVING_STATES, 'suspended'];

/** How often a name may be given up just after it was in the way, before a write of it is given up as well. */
const MAX_ATTEMPTS = 10;

/**
 * How long an operation belongs to the instance that runs it, unless it renews. What is left of it when an instance dies
 * is most of the time until recovery, which is promised within 5 s. Losing it while alive does no harm.
 */
export const LEASE_MS = 2_000;

/** The operation for which a registry document may be changed, and which of those that took it up may do so. */
export interface OperationClaim {
  organizationId: ObjectId;
  operationId: ObjectId;
  /** Counts how often the operation was taken up: not even the same instance holds two claims on it. */
  attempt: number;
}

/** What an organization is to be called; a conflict names it back to the caller. */
export interface WantedNames {
  name: OrganizationName;
  externalId?: string | null;
}

/** A change of an organization's own fields. */
export interface OrganizationChange {
  $set: Partial<OrganizationDocument>;
  $unset?: { external_id: '' };
}

export type NewOperation<T extends OperationDocument = OperationDocument> =
  T extends OperationDocument ? Omit<T, 'lease_expires_at' | 'started_at' | 'attempts'> : never;

/**
 * Every query on the registry: the `organizations` collection of the master database.
 *
 * Leases are set and judged by the database's own clock (`$$NOW`), never by an instance's. A write for an operation
 * holds only while the claim does: a paused instance that wakes up late changes nothing.
 */
export class RegistryStore {
  readonly #organizations: Collection<OrganizationDocument>;

  constructor(master: Db) {
    this.#organizations = masterCollection<OrganizationDocument>(master, ORGANIZATIONS);
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

  /** Tells early that a name is taken. The unique indexes decide in the end. @throws the conflicts of names */
  async assertNameFree(name: OrganizationName): Promise<void> {
    const conflict = await this.#nameConflict(name, undefined);
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

  /** Every organization with no operation under way, for comparison with the collections that exist. */
  settled(): AsyncIterable<OrganizationDocument> {
    return this.#organizations.find({ operation: { $exists: false } });
  }

  /**
   * Inserts an organization that is being created; its names are reserved from here on.
   *
   * @throws OrganizationNameTakenError, CollectionNameTakenError or ConfusableNameError
   */
  async insertProvisioning(
    organization: Omit<OrganizationDocument, 'operation'>,
    operation: NewOperation,
    wanted: WantedNames,
  ): Promise<void> {
    const stage = { ...literal(organization), ...startOperation(operation) };
    const absent = { _id: organization._id, state: { $exists: false } };
    await this.#write(wanted, async () => {
      try {
        const options = { ...withinDeadline(), upsert: true };
        await this.#organizations.updateOne(absent, [{ $set: stage }], options);
      } catch (error) {
        // A repetition, however late, leaves alone what the first attempt's organization has become since.
        if (duplicateKeyField(error) !== '_id') throw error;
      }
    });
  }

  /**
   * Starts an operation on an organization in one of `from`, if no other is under way.
   *
   * @param fields - written in the same step, for example the names to reserve
   * @param seen - the document the operation was decided on
   * @returns the document as it is now, or null when it has changed since, or is busy
   * @throws the conflicts of {@link insertProvisioning}, ExternalIdTakenError
   */
  async begin(
    seen: OrganizationDocument,
    operation: NewOperation,
    fields: Partial<OrganizationDocument>,
    wanted?: WantedNames,
  ): Promise<OrganizationDocument | null> {
    const stage = { ...literal(fields), ...startOperation(operation) };
    return this.#write(wanted, async () => {
      const begun = await this.#organizations.findOneAndUpdate(unchanged(seen), [{ $set: stage }], {
        ...withinDeadline(),
        returnDocument: 'after',
      });
      // A retry after a lost answer finds its own operation begun.
      const own = { organizationId: seen._id, operationId: operation._id, attempt: 1 };
      return begun ?? this.#organizations.findOne(heldBy(own), withinDeadline());
    });
  }

  /** Changes an organization on which no operation is under way, in one step. @returns the new document, or null when it has changed since `seen` */
  async update(
    seen: OrganizationDocument,
    change: OrganizationChange,
    wanted: WantedNames,
  ): Promise<OrganizationDocument | null> {
    return this.#write(wanted, () =>
      this.#organizations.findOneAndUpdate(
        unchanged(seen),
        { ...change, $inc: { version: 1 } },
        { ...withinDeadline(), returnDocument: 'after' },
      ),
    );
  }

  /** Records the UUID of the collection just created. @throws OperationLostError */
  async recordCollection(claim: OperationClaim, uuid: UUID): Promise<void> {
    const recorded = await this.#change(claim, { $set: { collection_uuid: uuid } });
    if (recorded === null) throw new OperationLostError();
  }

  /**
   * Ends an operation: the commit point.
   *
   * @param change - the state the organization is left in
   * @returns the document as committed
   * @throws OperationLostError when another instance has taken over
   */
  async finish(claim: OperationClaim, change: OrganizationChange): Promise<OrganizationDocument> {
    const $set = { ...change.$set, last_operation_id: claim.operationId };
    const changed = await this.#change(claim, ending({ ...change, $set }));
    // A commit whose answer got lost leaves nothing to match for its repetition.
    const committed = changed ?? (await this.#committedBy(claim));
    if (committed === null) throw new OperationLostError();
    return committed;
  }

  /** Ends an operation whose effects have been taken back. @throws OperationLostError */
  async abandon(claim: OperationClaim, change: OrganizationChange): Promise<void> {
    const changed = await this.#change(claim, ending(change));
    if (changed === null) throw new OperationLostError();
  }

  /**
   * Removes an organization at the end of its deletion or of an undone creation; its names are free. Idempotent.
   *
   * @returns false when it was gone
   * @throws OperationLostError
   */
  async remove(claim: OperationClaim): Promise<boolean> {
    const removed = await retryTransient(() =>
      this.#organizations.deleteOne(heldBy(claim), withinDeadline()),
    );
    if (removed.deletedCount === 0 && (await this.findById(claim.organizationId)) !== null)
      throw new OperationLostError();
    return removed.deletedCount === 1;
  }

  /** Renews a lease, by the database's clock. @returns false when another instance has taken the operation over */
  async renewLease(claim: OperationClaim): Promise<boolean> {
    const renewed = await this.#organizations.updateOne(
      heldBy(claim),
      [{ $set: { 'operation.lease_expires_at': leaseEnd } }],
      withinDeadline(),
    );
    return renewed.matchedCount === 1;
  }

  /** Takes over one operation whose lease has run out. @returns its organization, or null when there is none */
  claimExpired(owner: string): Promise<OrganizationDocument | null> {
    return this.#organizations.findOneAndUpdate(
      {
        'operation.lease_expires_at': { $type: 'date' },
        $expr: { $lt: ['$operation.lease_expires_at', '$$NOW'] },
      },
      [
        {
          $set: {
            'operation.owner': { $literal: owner },
            'operation.lease_expires_at': leaseEnd,
            'operation.attempts': { $add: ['$operation.attempts', 1] },
          },
        },
      ],
      { ...withinDeadline(), returnDocument: 'after' },
    );
  }

  /** Organizations with an operation under way, longest first. */
  findOperations(limit: number): Promise<OrganizationDocument[]> {
    return this.#organizations
      .find({ 'operation.lease_expires_at': { $type: 'date' } }, withinDeadline())
      .sort({ 'operation.lease_expires_at': 1 })
      .limit(limit)
      .toArray();
  }

  /** Whether the claim holds at this moment. For steps that act outside the registry. @throws OperationLostError */
  async assertHeld(claim: OperationClaim): Promise<void> {
    const held = await retryTransient(() =>
      this.#organizations.findOne(heldBy(claim), { ...withinDeadline(), projection: { _id: 1 } }),
    );
    if (held === null) throw new OperationLostError();
  }

  #change(
    claim: OperationClaim,
    change: UpdateFilter<OrganizationDocument>,
  ): Promise<OrganizationDocument | null> {
    return retryTransient(() =>
      this.#organizations.findOneAndUpdate(heldBy(claim), change, {
        ...withinDeadline(),
        returnDocument: 'after',
      }),
    );
  }

  #committedBy(claim: OperationClaim): Promise<OrganizationDocument | null> {
    return retryTransient(() =>
      this.#organizations.findOne(
        { _id: claim.organizationId, last_operation_id: claim.operationId },
        withinDeadline(),
      ),
    );
  }

  async #write<T>(wanted: WantedNames | undefined, write: () => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await retryTransient(write);
      } catch (error) {
        const field = duplicateKeyField(error);
        if (field === undefined || wanted === undefined) throw error;
        if (field === 'held.external_ids')
          throw new ExternalIdTakenError(wanted.externalId ?? '', error);
        const conflict = await this.#nameConflict(wanted.name, error);
        if (conflict !== undefined) throw conflict;
        // Whoever had the name has given it up since.
        if (attempts === MAX_ATTEMPTS) throw new OrganizationBusyError();
      }
    }
  }

  /** Says of a taken name only what the caller's own input shows. @returns undefined when nobody has it */
  async #nameConflict(name: OrganizationName, cause: unknown): Promise<AppError | undefined> {
    const sameOrAlike = {
      $or: [{ 'held.slugs': name.slug }, { 'held.skeletons': name.skeleton }],
    };
    const holders = await retryTransient(() =>
      this.#organizations.find(sameOrAlike, withinDeadline()).toArray(),
    );
    if (holders.length === 0) return undefined;
    const holder = holders.find(({ held }) => held.slugs.includes(name.slug));
    if (holder === undefined) return new ConfusableNameError(name.display, cause);
    const keys = [holder.name_key];
    if (holder.operation?.kind === 'update') keys.push(holder.operation.target.name_key);
    return keys.includes(name.key)
      ? new OrganizationNameTakenError(name.display, cause)
      : new CollectionNameTakenError(name.display, cause);
  }
}

function heldBy(claim: OperationClaim): Filter<OrganizationDocument> {
  return {
    _id: claim.organizationId,
    'operation._id': claim.operationId,
    'operation.attempts': claim.attempt,
  };
}

function unchanged(seen: OrganizationDocument): Filter<OrganizationDocument> {
  return {
    _id: seen._id,
    version: seen.version,
    state: seen.state,
    operation: { $exists: false },
  };
}

function ending({ $set, $unset }: OrganizationChange): UpdateFilter<OrganizationDocument> {
  return { $set, $unset: { ...$unset, operation: '' }, $inc: { version: 1 } };
}

const leaseEnd = { $add: ['$$NOW', LEASE_MS] };

function startOperation(operation: NewOperation): Document {
  return {
    operation: {
      ...literal(operation),
      lease_expires_at: leaseEnd,
      started_at: '$$NOW',
      attempts: 1,
    },
  };
}
