import type { Collection, Db, Document, ObjectId, UpdateFilter, UUID } from 'mongodb';
import { masterCollection } from '../database/collections.ts';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { literal } from '../database/update-pipeline.ts';
import { NameConflicts, type WantedNames } from './name-conflicts.ts';
import { heldBy, type OperationClaim } from './operation-claim.ts';
import { type OrganizationChange, unchanged } from './organization-change.ts';
import type { OperationDocument, OrganizationDocument } from './organization-document.ts';
import { OperationLostError } from './registry-errors.ts';
import { ORGANIZATIONS } from './registry-store.ts';

/**
 * How long an operation belongs to the instance that runs it, unless it renews. What is left of it when an instance dies
 * is most of the time until recovery, which is promised within 5 s. Losing it while alive does no harm.
 */
export const LEASE_MS = 2_000;

/** An organization with an operation under way, and how long it has been, by the database's clock. */
export interface OperationUnderWay {
  organization: OrganizationDocument;
  ageMs: number;
}

/** An operation as it is asked for; the database adds the times. */
export type NewOperation<T extends OperationDocument = OperationDocument> =
  T extends OperationDocument ? Omit<T, 'lease_expires_at' | 'started_at' | 'attempts'> : never;

/**
 * Every query on the lifecycle operations under way, each of which is part of its organization's document.
 *
 * Leases are set and judged by the database's own clock (`$$NOW`), never by an instance's. A write for an operation
 * holds only while the claim does: a paused instance that wakes up late changes nothing.
 */
export class OperationStore {
  readonly #organizations: Collection<OrganizationDocument>;
  readonly #names: NameConflicts;

  constructor(master: Db) {
    this.#organizations = masterCollection<OrganizationDocument>(master, ORGANIZATIONS);
    this.#names = new NameConflicts(this.#organizations);
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
    await this.#names.refusingTaken(wanted, async () => {
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
    return this.#names.refusingTaken(wanted, async () => {
      const begun = await this.#organizations.findOneAndUpdate(unchanged(seen), [{ $set: stage }], {
        ...withinDeadline(),
        returnDocument: 'after',
      });
      // A retry after a lost answer finds its own operation begun.
      const own = { organizationId: seen._id, operationId: operation._id, attempt: 1 };
      return begun ?? this.#organizations.findOne(heldBy(own), withinDeadline());
    });
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

  /**
   * Records that an update is taken back from here on, by whoever has it. @throws OperationLostError when another instance
   * has taken over, and may finish it
   */
  async decideUndo(claim: OperationClaim): Promise<void> {
    const decided = await this.#change(claim, { $set: { 'operation.undoing': true } });
    if (decided === null) throw new OperationLostError();
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
    if (removed.deletedCount === 0 && (await this.#exists(claim.organizationId)))
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

  /** Organizations with an operation under way, longest without a renewal first, and for how long it has been. */
  findOperations(limit: number): Promise<OperationUnderWay[]> {
    return retryTransient(() =>
      this.#organizations
        .aggregate<OperationUnderWay>(
          [
            { $match: { 'operation.lease_expires_at': { $type: 'date' } } },
            { $sort: { 'operation.lease_expires_at': 1 } },
            { $limit: limit },
            {
              $project: {
                organization: '$$ROOT',
                ageMs: { $subtract: ['$$NOW', '$operation.started_at'] },
              },
            },
          ],
          withinDeadline(),
        )
        .toArray(),
    );
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

  async #exists(_id: ObjectId): Promise<boolean> {
    const found = await retryTransient(() =>
      this.#organizations.findOne({ _id }, { ...withinDeadline(), projection: { _id: 1 } }),
    );
    return found !== null;
  }
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
