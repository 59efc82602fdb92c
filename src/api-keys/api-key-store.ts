import type { Collection, Db, Filter, ObjectId } from 'mongodb';
import type { AccessChanged } from '../access/access-changes.ts';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { type Page, type PageRequest, pageOf } from '../http/pagination.ts';
import type { MakerDocument } from '../members/makers.ts';
import type { Permission } from '../roles/permissions.ts';

/** An API key of an organization. */
export interface ApiKeyDocument {
  _id: ObjectId;
  organization_id: ObjectId;
  /**
   * Which of the places that an organization has for keys it takes: with a unique index that is how a limit holds
   * whatever happens at the same time.
   */
  slot: number;
  name: string;
  /** The public part of the key; unique. */
  prefix: string;
  /** SHA-256 of the key. */
  key_hash: string;
  permissions: Permission[];
  created_by: MakerDocument;
  created_at: Date;
  /** From then on the key opens nothing; null if it is good until it is deleted. */
  expires_at: Date | null;
  /** To the minute: see {@link LastUse}. Null before the first use. */
  last_used_at: Date | null;
}

/** So long an expired key is still shown, so that people find out what has stopped. */
const SHOWN_EXPIRED_SECONDS = 30 * 24 * 60 * 60;

export const API_KEYS: MasterCollection = {
  name: 'api_keys',
  indexes: [
    { name: 'prefix', key: { prefix: 1 }, unique: true },
    { name: 'organization_slot', key: { organization_id: 1, slot: 1 }, unique: true },
    { name: 'organization', key: { organization_id: 1, _id: 1 } },
    // Only tidies up: expiry itself is judged at every use.
    {
      name: 'expires_at',
      key: { expires_at: 1 },
      expireAfterSeconds: SHOWN_EXPIRED_SECONDS,
    },
  ],
  belongsTo: [
    { field: 'organization_id', owner: 'organization' },
    // Who made it is told for as long as the key is there.
    { field: 'created_by.admin_id', owner: 'admin', whenGone: 'keep' },
  ],
};

/** Every query on API keys. */
export class ApiKeyStore {
  readonly #keys: Collection<ApiKeyDocument>;
  readonly #changed: AccessChanged;

  constructor(master: Db, changed: AccessChanged) {
    this.#keys = masterCollection<ApiKeyDocument>(master, API_KEYS);
    this.#changed = changed;
  }

  findByPrefix(prefix: string): Promise<ApiKeyDocument | null> {
    return this.#findOne({ prefix });
  }

  find(organizationId: ObjectId, id: ObjectId): Promise<ApiKeyDocument | null> {
    return this.#findOne({ _id: id, organization_id: organizationId });
  }

  /** An organization's keys, oldest first. */
  async page(
    organizationId: ObjectId,
    { limit, after }: PageRequest,
  ): Promise<Page<ApiKeyDocument>> {
    const filter = { organization_id: organizationId, ...(after && { _id: { $gt: after } }) };
    const found = await retryTransient(() =>
      this.#keys
        .find(filter, withinDeadline())
        .sort({ _id: 1 })
        .limit(limit + 1)
        .toArray(),
    );
    return pageOf(found, limit);
  }

  /** The places of an organization that have a key. */
  async slotsOf(organizationId: ObjectId): Promise<ReadonlySet<number>> {
    const found = await retryTransient(() =>
      this.#keys
        .find(
          { organization_id: organizationId },
          { ...withinDeadline(), projection: { _id: 0, slot: 1 } },
        )
        .toArray(),
    );
    return new Set(found.map(({ slot }) => slot));
  }

  /** @returns false, and nothing is done, when its place or its prefix is another key's */
  async insert(key: ApiKeyDocument): Promise<boolean> {
    const { _id, ...rest } = key;
    try {
      await retryTransient(() =>
        this.#keys.updateOne(
          { _id },
          { $setOnInsert: rest },
          { ...withinDeadline(), upsert: true },
        ),
      );
      return true;
    } catch (error) {
      if (duplicateKeyField(error) !== undefined) return false;
      throw error;
    }
  }

  /** Ends keys of an organization, at once on this instance. Those that are gone already are gone. */
  async remove(organizationId: ObjectId, ids: readonly ObjectId[]): Promise<void> {
    if (ids.length === 0) return;
    await retryTransient(() =>
      this.#keys.deleteMany(
        { _id: { $in: [...ids] }, organization_id: organizationId },
        withinDeadline(),
      ),
    );
    this.#changed(...ids);
  }

  /** Writes down when keys were last used. A lost answer is no loss: it is a maximum. */
  async recordUse(uses: readonly { id: ObjectId; at: Date }[]): Promise<void> {
    const writes = uses.map(({ id, at }) => ({
      updateOne: { filter: { _id: id }, update: { $max: { last_used_at: at } } },
    }));
    await retryTransient(() =>
      this.#keys.bulkWrite(writes, { ...withinDeadline(), ordered: false }),
    );
  }

  #findOne(filter: Filter<ApiKeyDocument>): Promise<ApiKeyDocument | null> {
    return retryTransient(() => this.#keys.findOne(filter, withinDeadline()));
  }
}
