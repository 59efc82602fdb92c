import { type Collection, type Db, type Filter, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection, withoutMatch } from '../database/collections.ts';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { MEMBERSHIPS } from '../members/membership-store.ts';
import type { CredentialChange } from '../registry/organization-document.ts';
import type { AdminDocument } from './admin-document.ts';
import { EmailTakenError } from './admin-errors.ts';

export const ADMINS: MasterCollection = {
  name: 'admins',
  indexes: [{ name: 'email', key: { email: 1 }, unique: true }],
  belongsTo: [{ field: 'last_organization_id', owner: 'organization', whenGone: 'clear' }],
};

/** Of the changes of credentials so many are remembered: many more than can be made while an update is recovered. */
const CHANGES_KEPT = 20;

/** Of the networks a person signs in from so many are remembered. */
const NETWORKS_KEPT = 20;
type CredentialFields = Partial<Pick<AdminDocument, 'email' | 'password'>>;

/** Every query on people's accounts. */
export class AdminStore {
  readonly #admins: Collection<AdminDocument>;

  constructor(master: Db) {
    this.#admins = masterCollection<AdminDocument>(master, ADMINS);
  }

  findById(id: ObjectId): Promise<AdminDocument | null> {
    return retryTransient(() => this.#admins.findOne({ _id: id }, withinDeadline()));
  }

  /** In no order. */
  findMany(ids: readonly ObjectId[]): Promise<AdminDocument[]> {
    return retryTransient(() =>
      this.#admins.find({ _id: { $in: [...ids] } }, withinDeadline()).toArray(),
    );
  }

  /** @param email - normalised */
  findByEmail(email: string): Promise<AdminDocument | null> {
    return retryTransient(() => this.#admins.findOne({ email }, withinDeadline()));
  }

  /** Inserts an account; repeating it with the same id changes nothing. @throws EmailTakenError */
  async insert(admin: AdminDocument): Promise<void> {
    await refusingTakenEmail(() =>
      this.#admins.updateOne(
        { _id: admin._id },
        { $setOnInsert: admin },
        { ...withinDeadline(), upsert: true },
      ),
    );
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

  /** @returns the account as it is now, or null when it is gone */
  setName(id: ObjectId, name: string | null, now: Date): Promise<AdminDocument | null> {
    return retryTransient(() =>
      this.#admins.findOneAndUpdate(
        { _id: id },
        { $set: { name, updated_at: now } },
        { ...withinDeadline(), returnDocument: 'after' },
      ),
    );
  }

  /**
   * Changes e-mail or password on top of the change that was seen: of any number of changes decided on the same one, one
   * takes place. Idempotent.
   *
   * @param seen - see {@link lastChangeOf}
   * @param changeId - names this change
   * @returns false when another came first, or the account is gone
   * @throws EmailTakenError
   */
  async changeOnTopOf(
    id: ObjectId,
    seen: ObjectId | null,
    change: CredentialFields & Pick<AdminDocument, 'session_era'>,
    changeId: ObjectId,
    now: Date,
  ): Promise<boolean> {
    const changed = await refusingTakenEmail(() =>
      this.#admins.updateOne(
        latestChange(id, seen),
        {
          $set: { ...change, updated_at: now },
          $push: pushChange(changeId),
          // Who began to enrol a factor in an era that is over has to begin again.
          ...(change.session_era && { $unset: { totp_pending: '' as const } }),
        },
        withinDeadline(),
      ),
    );
    if (changed.matchedCount === 1) return true;
    // The answer to a first attempt may have got lost.
    const made = (await this.findById(id))?.credential_changes ?? [];
    return made.some((one) => one.equals(changeId));
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

  /** @returns the era a person's sessions have to be of; undefined when the account is gone */
  async eraOf(id: ObjectId): Promise<ObjectId | null | undefined> {
    const found = await retryTransient(() =>
      this.#admins.findOne({ _id: id }, { ...withinDeadline(), projection: { session_era: 1 } }),
    );
    return found === null ? undefined : (found.session_era ?? null);
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

  /** Replaces a hash by a stronger one of the same password, unless the password has changed meanwhile. */
  async upgradePassword(
    admin: Pick<AdminDocument, '_id' | 'password'>,
    password: AdminDocument['password'],
  ): Promise<void> {
    await retryTransient(() =>
      this.#admins.updateOne(
        { _id: admin._id, 'password.hash': admin.password.hash },
        { $set: { password } },
        withinDeadline(),
      ),
    );
  }

  /** Notes that the password was proved from a network. @param network - its keyed hash */
  async rememberNetwork(id: ObjectId, network: string, now: Date): Promise<void> {
    const known = { $ifNull: ['$known_networks', []] };
    const others = { $filter: { input: known, cond: { $ne: ['$$this.network', network] } } };
    const noted = { $concatArrays: [[{ network, proved_at: now }], others] };
    await retryTransient(() =>
      this.#admins.updateOne(
        { _id: id },
        [{ $set: { known_networks: { $slice: [noted, NETWORKS_KEPT] } } }],
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

/** @param change - null for credentials that were never changed */
function latestChange(id: ObjectId, change: ObjectId | null): Filter<AdminDocument> {
  return { _id: id, 'credential_changes.0': change };
}

/** The update operator that notes a change of what somebody signs in with. */
export function pushChange(id: ObjectId) {
  return { credential_changes: { $each: [id], $position: 0, $slice: CHANGES_KEPT } };
}

async function refusingTakenEmail<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await retryTransient(write);
  } catch (error) {
    if (duplicateKeyField(error) === 'email') throw new EmailTakenError(error);
    throw error;
  }
}
