import { type Collection, type Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection, withoutMatch } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { MEMBERSHIPS } from '../members/membership-store.ts';
import type { CredentialChange } from '../registry/organization-document.ts';
import { AccountStore, latestChange, refusingTakenEmail } from './account-store.ts';
import type { AdminDocument } from './admin-document.ts';

export const ADMINS: MasterCollection = {
  name: 'admins',
  indexes: [{ name: 'email', key: { email: 1 }, unique: true }],
  belongsTo: [{ field: 'last_organization_id', owner: 'organization', whenGone: 'clear' }],
};

/** Every query on people's accounts. */
export class AdminStore extends AccountStore<AdminDocument> {
  readonly #admins: Collection<AdminDocument>;

  constructor(master: Db) {
    const admins = masterCollection<AdminDocument>(master, ADMINS);
    super(admins);
    this.#admins = admins;
  }

  /**
   * Notes that a membership was given. Call it **after** the membership exists: together with {@link removeUnlessJoined}
   * it decides every race between the two.
   *
   * @returns false when the account is gone, and the membership must be taken back
   */
  async countMembership(id: ObjectId): Promise<boolean> {
    const counted = await retryTransient(() =>
      this.#admins.updateOne({ _id: id }, { $inc: { membership_version: 1 } }, withinDeadline()),
    );
    return counted.matchedCount === 1;
  }

  /** Removes an account to which no membership was given since `version` was read. @returns whether it is gone */
  async removeUnlessJoined(id: ObjectId, version: number): Promise<boolean> {
    const removed = await retryTransient(() =>
      this.#admins.deleteOne({ _id: id, membership_version: version }, withinDeadline()),
    );
    return removed.deletedCount === 1;
  }

  /**
   * Changes credentials as part of an operation: once, however often the operation is repeated, and only on top of what
   * stood there when it was decided on.
   *
   * @param operationId - identifies the change
   * @returns false when something else changed them first
   * @throws EmailTakenError
   */
  async applyChange(change: CredentialChange, operationId: ObjectId, now: Date): Promise<boolean> {
    const { admin_id: id, email, password, previous } = change;
    const fields = { ...(email && { email }), ...(password && { password }) };
    if (await this.changeOnTopOf(id, previous.change, fields, operationId, now)) return true;
    return (await this.findById(id)) === null;
  }

  /**
   * Ends the era of the sessions that were there before {@link applyChange}, unless another change has ended it since.
   *
   * @returns false when another change did
   */
  async beginEra(change: CredentialChange, operationId: ObjectId): Promise<boolean> {
    const { admin_id: _id, previous } = change;
    const begun = await retryTransient(() =>
      this.#admins.updateOne(
        {
          ...{ _id, credential_changes: operationId },
          // Null finds one that is absent as well.
          $or: [{ session_era: previous.era as ObjectId }, { session_era: operationId }],
        },
        { $set: { session_era: operationId } },
        withinDeadline(),
      ),
    );
    return begun.matchedCount === 1;
  }

  /** Takes back what {@link applyChange} did, unless they have been changed again since. @throws EmailTakenError */
  async revertChange(change: CredentialChange, operationId: ObjectId, now: Date): Promise<void> {
    const { admin_id: id, email, password, previous } = change;
    const fields = {
      ...(email && { email: previous.email }),
      ...(password && { password: previous.password }),
      // A change of its own, so that a late repetition of the one it takes back finds something else.
      'credential_changes.0': new ObjectId(),
    };
    await refusingTakenEmail(() =>
      this.#admins.updateOne(
        latestChange(id, operationId),
        { $set: { ...fields, updated_at: now } },
        withinDeadline(),
      ),
    );
  }

  /** Removes the trace of an organization that is being deleted. */
  async forgetOrganization(id: ObjectId, organizationId: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#admins.updateOne(
        { _id: id, last_organization_id: organizationId },
        { $set: { last_organization_id: null } },
        withinDeadline(),
      ),
    );
  }

  async rememberOrganization(id: ObjectId, organizationId: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#admins.updateOne(
        { _id: id },
        { $set: { last_organization_id: organizationId } },
        withinDeadline(),
      ),
    );
  }

  /** Ids of accounts that belong to no organization and are older than any sign-up still under way. */
  async unattached(olderThan: Date): Promise<ObjectId[]> {
    const found = await this.#admins
      .aggregate<Pick<AdminDocument, '_id'>>([
        { $match: { created_at: { $lt: olderThan } } },
        ...withoutMatch('_id', MEMBERSHIPS.name, 'admin_id'),
        { $project: { _id: 1 } },
      ])
      .toArray();
    return found.map(({ _id }) => _id);
  }
}
