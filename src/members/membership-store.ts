import type { Collection, Db, Filter, ObjectId } from 'mongodb';
import type { AccessChanged } from '../access/access-changes.ts';
import { type MasterCollection, masterCollection, withoutMatch } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { type Page, type PageRequest, pageOf } from '../http/pagination.ts';
import { ORGANIZATIONS } from '../registry/registry-store.ts';

/** A change of members that takes several steps, and is ended by recovery if its instance dies. */
export type PendingChange =
  | { kind: 'remove'; since: Date }
  | {
      /** Not a member yet: whether the attempt used its invitation up decides. */
      kind: 'join';
      since: Date;
      invitation_id: ObjectId;
      attempt: ObjectId;
    }
  | {
      kind: 'transfer';
      since: Date;
      /** The member who becomes an owner, as it was seen. */
      to: ObjectId;
      to_version: number;
    };

/** That a person belongs to an organization, and in what role. */
export interface MembershipDocument {
  _id: ObjectId;
  organization_id: ObjectId;
  admin_id: ObjectId;
  /** A built-in role, or one of the organization's own. */
  role: string;
  /** Counts changes of the role; a change is made only on top of what it was decided on. */
  version: number;
  created_at: Date;
  pending?: PendingChange;
  /** Written on every owner by whoever is about to make one owner less; see {@link MembershipStore.stampOwners}. */
  owner_stamp?: ObjectId;
}

export const MEMBERSHIPS: MasterCollection = {
  name: 'memberships',
  indexes: [
    {
      name: 'organization_admin',
      key: { organization_id: 1, admin_id: 1 },
      unique: true,
    },
    { name: 'organization', key: { organization_id: 1, _id: 1 } },
    { name: 'organization_role', key: { organization_id: 1, role: 1, _id: 1 } },
    { name: 'admin', key: { admin_id: 1, _id: 1 } },
    // Only what is under way is in it, so that looking for interrupted changes costs nothing.
    {
      name: 'pending',
      key: { 'pending.since': 1 },
      partialFilterExpression: { 'pending.since': { $type: 'date' } },
    },
  ],
  belongsTo: [
    { field: 'organization_id', owner: 'organization' },
    { field: 'admin_id', owner: 'admin' },
  ],
};

/** A member who is being removed is none any more. */
const ATTACHED: Filter<MembershipDocument> = { 'pending.kind': { $ne: 'remove' } };
/** Nor is one yet who is just joining. */
const LASTING: Filter<MembershipDocument> = { 'pending.kind': { $nin: ['remove', 'join'] } };

/** Every query on memberships. */
export class MembershipStore {
  readonly #memberships: Collection<MembershipDocument>;
  readonly #changed: AccessChanged;

  constructor(master: Db, changed: AccessChanged) {
    this.#memberships = masterCollection<MembershipDocument>(master, MEMBERSHIPS);
    this.#changed = changed;
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
    return this.#findOne({ organization_id: organizationId, admin_id: adminId, ...LASTING });
  }

  /** @returns the membership whatever is being done to it, or null */
  findAny(organizationId: ObjectId, adminId: ObjectId): Promise<MembershipDocument | null> {
    return this.#findOne({ organization_id: organizationId, admin_id: adminId });
  }

  /** @returns as {@link findAny} */
  findById(id: ObjectId): Promise<MembershipDocument | null> {
    return this.#findOne({ _id: id });
  }

  /** A person's memberships, oldest first. */
  ofAdmin(adminId: ObjectId): Promise<MembershipDocument[]> {
    return this.#find({ admin_id: adminId, ...LASTING });
  }

  /** An organization's memberships, those being given or removed included, oldest first. */
  ofOrganization(organizationId: ObjectId): Promise<MembershipDocument[]> {
    return this.#find({ organization_id: organizationId });
  }

  /** @param of - a person's, or an organization's */
  async page(
    of: { admin_id: ObjectId } | { organization_id: ObjectId },
    { limit, after }: PageRequest,
  ): Promise<Page<MembershipDocument>> {
    const filter = { ...of, ...LASTING, ...(after && { _id: { $gt: after } }) };
    const found = await retryTransient(() =>
      this.#memberships
        .find(filter, withinDeadline())
        .sort({ _id: 1 })
        .limit(limit + 1)
        .toArray(),
    );
    return pageOf(found, limit);
  }

  /** @returns those of the people who are members, in no order */
  async membersAmong(organizationId: ObjectId, adminIds: readonly ObjectId[]): Promise<ObjectId[]> {
    const among = { organization_id: organizationId, admin_id: { $in: [...adminIds] } };
    return (await this.#find({ ...among, ...LASTING })).map(({ admin_id }) => admin_id);
  }

  countOf(organizationId: ObjectId): Promise<number> {
    return retryTransient(() =>
      this.#memberships.countDocuments(
        { organization_id: organizationId, ...LASTING },
        withinDeadline(),
      ),
    );
  }

  /** How many memberships there are beside one, those that are just being given or taken included. */
  countBeside(organizationId: ObjectId, membershipId: ObjectId): Promise<number> {
    return retryTransient(() =>
      this.#memberships.countDocuments(
        { organization_id: organizationId, _id: { $ne: membershipId } },
        withinDeadline(),
      ),
    );
  }

  /** Whether anybody in the organization has the role. */
  async isRoleInUse(organizationId: ObjectId, role: string): Promise<boolean> {
    return (await this.#findOne({ organization_id: organizationId, role })) !== null;
  }

  /** The owner an organization names as its admin: the one who has been a member longest. */
  firstOwner(organizationId: ObjectId): Promise<MembershipDocument | null> {
    return retryTransient(() =>
      this.#memberships.findOne(
        { organization_id: organizationId, role: 'owner', ...LASTING },
        { ...withinDeadline(), sort: { _id: 1 } },
      ),
    );
  }

  /**
   * Begins to make one owner less, without a transaction: writes a stamp of its own on every owner. {@link setRole} and
   * {@link begin} with that stamp hold only where it still stands, and every other who does the same puts another in its
   * place. So of two that would each leave the other's owner as the last, one finds its stamp gone.
   *
   * @returns how many owners there are, and how many of them carry the stamp
   */
  async stampOwners(
    organizationId: ObjectId,
    stamp: ObjectId,
  ): Promise<{ owners: number; stamped: number }> {
    const owners = { organization_id: organizationId, role: 'owner', ...LASTING };
    return retryTransient(async () => {
      await this.#memberships.updateMany(
        owners,
        { $set: { owner_stamp: stamp } },
        withinDeadline(),
      );
      const found = await this.#memberships.find(owners, withinDeadline()).toArray();
      const stamped = found.filter(({ owner_stamp }) => owner_stamp?.equals(stamp));
      return { owners: found.length, stamped: stamped.length };
    });
  }

  /**
   * Gives a member another role.
   *
   * @param seen - what the change was decided on
   * @param stamp - of {@link stampOwners}, when an owner stops being one
   * @returns the membership as it is now, or null when it has changed since it was seen
   */
  async setRole(
    seen: MembershipDocument,
    role: string,
    stamp?: ObjectId,
  ): Promise<MembershipDocument | null> {
    const version = seen.version + 1;
    // A change that was pending ends with it; that is how a transfer commits.
    const change = { $set: { role, version }, $unset: { pending: '' as const } };
    const made = { _id: seen._id, role, version };
    return this.#change(asSeen(seen, stamp), change, made);
  }

  /** Begins a change of several steps. @returns as {@link setRole} */
  async begin(
    seen: MembershipDocument,
    pending: PendingChange,
    stamp?: ObjectId,
  ): Promise<MembershipDocument | null> {
    const version = seen.version + 1;
    const change = { $set: { pending, version } };
    return this.#change(asSeen(seen, stamp), change, { _id: seen._id, pending, version });
  }

  /** Ends a change that came to nothing. */
  async abandon(seen: MembershipDocument): Promise<void> {
    await retryTransient(() =>
      this.#memberships.updateOne(
        { _id: seen._id, version: seen.version },
        { $unset: { pending: '' } },
        withinDeadline(),
      ),
    );
    this.#changed(seen._id);
  }

  /** Makes somebody who is joining a member. Nothing happens if they are one already. */
  async confirmJoin(id: ObjectId, attempt: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#memberships.updateOne(
        { _id: id, 'pending.kind': 'join', 'pending.attempt': attempt },
        { $unset: { pending: '' } },
        withinDeadline(),
      ),
    );
    this.#changed(id);
  }

  /** Changes of several steps that have been under way since before the given time. */
  findPending(
    before: Date,
    kinds: readonly PendingChange['kind'][],
  ): Promise<MembershipDocument[]> {
    return this.#find({ 'pending.since': { $lt: before }, 'pending.kind': { $in: [...kinds] } });
  }

  /**
   * Whether a person belongs to an organization other than the given one, or is about to. One that is being deleted does
   * not count: of two that are deleted at once, the one that looks last finds the other neither as a member's nor at all.
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
            { $match: { admin_id: adminId, ...ATTACHED, ...elsewhere } },
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
    this.#changed(membershipId);
    return removed.deletedCount === 1;
  }

  /** Memberships of organizations that do not exist, which only a crash at the worst moment can leave. */
  ofMissingOrganizations(): Promise<MembershipDocument[]> {
    return this.#memberships
      .aggregate<MembershipDocument>(withoutMatch('organization_id', ORGANIZATIONS.name, '_id'))
      .toArray();
  }

  #find(filter: Filter<MembershipDocument>): Promise<MembershipDocument[]> {
    return retryTransient(() =>
      this.#memberships.find(filter, withinDeadline()).sort({ _id: 1 }).toArray(),
    );
  }

  #findOne(filter: Filter<MembershipDocument>): Promise<MembershipDocument | null> {
    return retryTransient(() => this.#memberships.findOne(filter, withinDeadline()));
  }

  /** @param made - finds the membership when the answer to a first attempt got lost */
  async #change(
    where: Filter<MembershipDocument>,
    change: { $set: Partial<MembershipDocument>; $unset?: { pending: '' } },
    made: Filter<MembershipDocument>,
  ): Promise<MembershipDocument | null> {
    let attempts = 0;
    const changed = await retryTransient(async () => {
      attempts += 1;
      const found = await this.#memberships.findOneAndUpdate(where, change, {
        ...withinDeadline(),
        returnDocument: 'after',
      });
      if (found !== null || attempts === 1) return found;
      return this.#memberships.findOne(made, withinDeadline());
    });
    if (changed !== null) this.#changed(changed._id);
    return changed;
  }
}

function asSeen(seen: MembershipDocument, stamp: ObjectId | undefined): Filter<MembershipDocument> {
  const { _id, version, role } = seen;
  return { _id, version, role, ...(stamp && { owner_stamp: stamp }) };
}
