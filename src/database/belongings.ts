import { type Db, type Document, ObjectId } from 'mongodb';
import type { AccessChanged } from '../access/access-changes.ts';
import {
  type Belonging,
  type MasterCollection,
  masterCollection,
  type OwnerKind,
  withoutMatch,
} from './collections.ts';
import { retryTransient } from './database-errors.ts';
import { withinDeadline } from './deadline.ts';

interface BelongingsDeps {
  master: Db;
  /** Every collection of the master database. */
  collections: readonly MasterCollection[];
  /** Where the owners themselves are. */
  owners: Readonly<Record<OwnerKind, MasterCollection>>;
  /** Told of every owner whose sessions, keys and the like may be among what was erased. */
  changed: AccessChanged;
}

/** How many documents of each collection were removed or changed; those of which none were are left out. */
export type ErasedCounts = Record<string, number>;

/**
 * What belongs to organizations and admins, over every collection of the master database that says so in `belongsTo`: a
 * feature that adds a collection declares it there, and is erased without further code.
 */
export class Belongings {
  readonly #deps: BelongingsDeps;

  constructor(deps: BelongingsDeps) {
    this.#deps = deps;
  }

  /**
   * Removes every document that belongs to an organization or an admin, and clears the fields of those that stay. For one
   * that is gone or about to go: ids are never used again. Idempotent.
   *
   * @param except - collections that the caller sees to, because their order matters
   */
  async eraseOf(
    owner: OwnerKind,
    id: ObjectId,
    except: readonly MasterCollection[] = [],
  ): Promise<void> {
    for (const { collection, belonging } of this.#of(owner))
      if (!except.includes(collection)) await this.#erase(collection, belonging, id);
    this.#deps.changed(id);
  }

  /**
   * Does the same for every owner that does not exist: for what was written by a request that had looked before the owner
   * was deleted, and died before it looked again.
   *
   * Whatever names an owner was written after it, so a document without one has outlived it. Should a feature ever write
   * the two the other way round, `madeBefore` protects it: an owner's id tells when it was made, and one that is older
   * than any operation lasts is not about to come into being.
   *
   * @param madeBefore - owners whose ids are younger are left for the next time
   */
  async eraseOrphans(madeBefore: Date): Promise<ErasedCounts> {
    const counts: ErasedCounts = {};
    for (const owner of ['organization', 'admin'] as const)
      for (const { collection, belonging } of this.#of(owner)) {
        if (belonging.early) continue;
        for (const id of await this.#missingOwners(collection, belonging, madeBefore)) {
          const erased = await this.#erase(collection, belonging, id);
          this.#deps.changed(id);
          if (erased > 0) counts[collection.name] = (counts[collection.name] ?? 0) + erased;
        }
      }
    return counts;
  }

  *#of(owner: OwnerKind): Generator<{ collection: MasterCollection; belonging: Belonging }> {
    for (const collection of this.#deps.collections)
      for (const belonging of collection.belongsTo ?? [])
        if (belonging.owner === owner && belonging.whenGone !== 'keep')
          yield { collection, belonging };
  }

  async #erase(
    collection: MasterCollection,
    { field, whenGone }: Belonging,
    id: ObjectId,
  ): Promise<number> {
    const documents = masterCollection<Document>(this.#deps.master, collection);
    if (whenGone === 'clear') {
      const clear = { $set: { [field]: null } };
      const cleared = await retryTransient(() =>
        documents.updateMany({ [field]: id }, clear, withinDeadline()),
      );
      return cleared.modifiedCount;
    }
    const removed = await retryTransient(() =>
      documents.deleteMany({ [field]: id }, withinDeadline()),
    );
    return removed.deletedCount;
  }

  /** Looks each owner up once, however many documents name it. */
  async #missingOwners(
    collection: MasterCollection,
    { field, owner }: Belonging,
    madeBefore: Date,
  ): Promise<ObjectId[]> {
    const first = ObjectId.createFromTime(Math.floor(madeBefore.getTime() / 1_000));
    const found = await masterCollection<Document>(this.#deps.master, collection)
      .aggregate<{ _id: ObjectId }>([
        { $match: { [field]: { $lt: first } } },
        { $group: { _id: `$${field}` } },
        ...withoutMatch('_id', this.#deps.owners[owner].name, '_id'),
      ])
      .toArray();
    return found.map(({ _id }) => _id);
  }
}
