import type { Collection, Db, ObjectId } from 'mongodb';
import type { AccessChanged } from '../access/access-changes.ts';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { Permission } from './permissions.ts';
import { RoleTakenError } from './role-errors.ts';

/** A role an organization defined for itself. */
export interface RoleDocument {
  _id: ObjectId;
  organization_id: ObjectId;
  name: string;
  description: string | null;
  permissions: Permission[];
  created_at: Date;
  updated_at: Date;
  /** Since when the role is being deleted: from then on nobody is given it. */
  deleting_since?: Date;
}

export const ROLES: MasterCollection = {
  name: 'roles',
  indexes: [
    { name: 'organization_name', key: { organization_id: 1, name: 1 }, unique: true },
    { name: 'organization', key: { organization_id: 1, _id: 1 } },
  ],
  belongsTo: [{ field: 'organization_id', owner: 'organization' }],
};

/** Every query on custom roles. */
export class RoleStore {
  readonly #roles: Collection<RoleDocument>;
  readonly #changed: AccessChanged;

  constructor(master: Db, changed: AccessChanged) {
    this.#roles = masterCollection<RoleDocument>(master, ROLES);
    this.#changed = changed;
  }

  find(organizationId: ObjectId, name: string): Promise<RoleDocument | null> {
    return retryTransient(() =>
      this.#roles.findOne({ organization_id: organizationId, name }, withinDeadline()),
    );
  }

  /** An organization's roles, oldest first. */
  ofOrganization(organizationId: ObjectId): Promise<RoleDocument[]> {
    return retryTransient(() =>
      this.#roles
        .find({ organization_id: organizationId }, withinDeadline())
        .sort({ _id: 1 })
        .toArray(),
    );
  }

  countOf(organizationId: ObjectId): Promise<number> {
    return retryTransient(() =>
      this.#roles.countDocuments({ organization_id: organizationId }, withinDeadline()),
    );
  }

  /** @throws RoleTakenError */
  async insert(role: RoleDocument): Promise<void> {
    const { _id, ...rest } = role;
    try {
      await retryTransient(() =>
        this.#roles.updateOne(
          { _id },
          { $setOnInsert: rest },
          { ...withinDeadline(), upsert: true },
        ),
      );
    } catch (error) {
      if (duplicateKeyField(error) !== undefined) throw new RoleTakenError(role.name, error);
      throw error;
    }
  }

  /**
   * Replaces what a role allows, if it still allows what was seen.
   *
   * @returns the role as it is now, or null when it has changed or gone since it was seen
   */
  async change(
    seen: RoleDocument,
    to: Pick<RoleDocument, 'permissions' | 'description' | 'updated_at'>,
  ): Promise<RoleDocument | null> {
    const unchanged = { permissions: seen.permissions, description: seen.description };
    const updated = await retryTransient(async () => {
      const found = await this.#roles.findOneAndUpdate(
        { _id: seen._id, ...unchanged },
        { $set: to },
        { ...withinDeadline(), returnDocument: 'after' },
      );
      // A repetition after a lost answer finds the role as it was to be.
      return found ?? this.#roles.findOne({ _id: seen._id, ...to }, withinDeadline());
    });
    this.#changed(seen._id);
    return updated;
  }

  /** From here on nobody is given the role. @returns false when it is gone */
  async markDeleting(id: ObjectId, since: Date): Promise<boolean> {
    const marked = await retryTransient(() =>
      this.#roles.updateOne({ _id: id }, { $set: { deleting_since: since } }, withinDeadline()),
    );
    return marked.matchedCount === 1;
  }

  /** Takes a mark back; another one stays. */
  async unmarkDeleting(id: ObjectId, mark: Date): Promise<void> {
    await retryTransient(() =>
      this.#roles.updateOne(
        { _id: id, deleting_since: mark },
        { $unset: { deleting_since: '' } },
        withinDeadline(),
      ),
    );
  }

  /**
   * @param mark - of {@link markDeleting}: without it the role has become somebody's again
   * @returns false when the role is still there
   */
  async remove(id: ObjectId, mark?: Date): Promise<boolean> {
    const marked = mark === undefined ? {} : { deleting_since: mark };
    const gone = await retryTransient(async () => {
      const { deletedCount } = await this.#roles.deleteOne(
        { _id: id, ...marked },
        withinDeadline(),
      );
      return (
        deletedCount === 1 || (await this.#roles.findOne({ _id: id }, withinDeadline())) === null
      );
    });
    this.#changed(id);
    return gone;
  }
}
