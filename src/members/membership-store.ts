import type { Collection, Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection, withoutMatch } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { ORGANIZATIONS } from '../registry/registry-store.ts';
import type { RoleName } from '../roles/permissions.ts';

/** That a person belongs to an organization, and in what role. */
export interface MembershipDocument {
  _id: ObjectId;
  organization_id: ObjectId;
  admin_id: ObjectId;
  role: RoleName;
  created_at: Date;
}

export const MEMBERSHIPS: MasterCollection = {
  name: 'memberships',
  indexes: [
    {
      name: 'organization_admin',
      key: { organization_id: 1, admin_id: 1 },
      unique: true,
    },
    { name: 'admin', key: { admin_id: 1, _id: 1 } },
  ],
};

/** Every query on memberships. */
export class MembershipStore {
  readonly #memberships: Collection<MembershipDocument>;

  constructor(master: Db) {
    this.#memberships = masterCollection<MembershipDocument>(master, MEMBERSHIPS);
  }

  /** Makes a person a member; one who is a member already keeps the role. Idempotent. */
  async insert(membership: MembershipDocument): Promise<void> {
    const { organization_id, admin_id, ...rest } = membership;
    await retryTransient(() =>
      this.#memberships.updateOne(
        { organization_id, admin_id },
        { $setOnInsert: rest },
        { ...withinDeadline(), upsert: true },
      ),
    );
  }

  find(organizationId: ObjectId, adminId: ObjectId): Promise<MembershipDocument | null> {
    return retryTransient(() =>
      this.#memberships.findOne(
        { organization_id: organizationId, admin_id: adminId },
        withinDeadline(),
      ),
    );
  }

  /** A person's memberships, oldest first. */
  ofAdmin(adminId: ObjectId): Promise<MembershipDocument[]> {
    return retryTransient(() =>
      this.#memberships.find({ admin_id: adminId }, withinDeadline()).sort({ _id: 1 }).toArray(),
    );
  }

  /** An organization's memberships, in no order. */
  ofOrganization(organizationId: ObjectId): Promise<MembershipDocument[]> {
    return retryTransient(() =>
      this.#memberships.find({ organization_id: organizationId }, withinDeadline()).toArray(),
    );
  }

  countOf(organizationId: ObjectId): Promise<number> {
    return retryTransient(() =>
      this.#memberships.countDocuments({ organization_id: organizationId }, withinDeadline()),
    );
  }

  /** The owner an organization names as its admin: the one who has been a member longest. */
  firstOwner(organizationId: ObjectId): Promise<MembershipDocument | null> {
    return retryTransient(() =>
      this.#memberships.findOne(
        { organization_id: organizationId, role: 'owner' },
        { ...withinDeadline(), sort: { _id: 1 } },
      ),
    );
  }

  /**
   * Whether a person belongs to an organization other than the given one. One that is being deleted does not count: of two
   * that are deleted at once, the one that looks last finds the other neither as a member's nor at all.
   */
  async existsElsewhere(adminId: ObjectId, organizationId?: ObjectId): Promise<boolean> {
    const elsewhere =
      organizationId === undefined ? {} : { organization_id: { $ne: organizationId } };
    const lasting = [{ $match: { 'operation.kind': { $ne: 'delete' } } }, { $project: { _id: 1 } }];
    const join = { from: ORGANIZATIONS.name, localField: 'organization_id', foreignField: '_id' };
    const found = await retryTransient(() =>
      this.#memberships
        .aggregate(
          [
            { $match: { admin_id: adminId, ...elsewhere } },
            { $lookup: { ...join, as: 'lasting', pipeline: lasting } },
            { $match: { lasting: { $size: 1 } } },
            { $limit: 1 },
          ],
          withinDeadline(),
        )
        .toArray(),
    );
    return found.length > 0;
  }

  /** @returns false when it was gone */
  async remove(membershipId: ObjectId): Promise<boolean> {
    const removed = await retryTransient(() =>
      this.#memberships.deleteOne({ _id: membershipId }, withinDeadline()),
    );
    return removed.deletedCount === 1;
  }

  /** Memberships of organizations that do not exist, which only a crash at the worst moment can leave. */
  ofMissingOrganizations(): Promise<MembershipDocument[]> {
    return this.#memberships
      .aggregate<MembershipDocument>(withoutMatch('organization_id', ORGANIZATIONS.name, '_id'))
      .toArray();
  }
}
