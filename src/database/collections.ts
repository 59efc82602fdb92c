import type { Collection, Db, Document, IndexDescription } from 'mongodb';

/** An index a store needs, as `createIndexes` takes it. */
export type RequiredIndex = IndexDescription & { name: string };

/** A collection of the master database and the indexes its invariants rest on. */
export interface MasterCollection {
  name: string;
  indexes: readonly RequiredIndex[];
  /**
   * The fields that say to what a document belongs: it goes when that goes. Deletion, reconciliation and the consistency
   * checks of the drills read it, so that none of them can forget a collection.
   */
  belongsTo?: readonly { field: string; owner: 'organization' | 'admin' }[];
}

/**
 * Creates every collection's indexes; those that exist are left alone. Idempotent, and safe when several instances start
 * at once.
 */
export async function ensureIndexes(
  master: Db,
  collections: readonly MasterCollection[],
): Promise<void> {
  await Promise.all(
    collections.map(({ name, indexes }) => master.collection(name).createIndexes([...indexes])),
  );
}

/** The typed collection of a store. The only place outside `tenants/` that opens a collection by name. */
export function masterCollection<T extends Document>(
  master: Db,
  { name }: MasterCollection,
): Collection<T> {
  return master.collection<T>(name);
}

/** Aggregation stages that keep the documents whose `field` names nothing in `foreign`. */
export function withoutMatch(field: string, foreign: string, foreignField: string): Document[] {
  const lookup = { from: foreign, localField: field, foreignField, as: 'matches' };
  return [
    { $lookup: { ...lookup, pipeline: [{ $limit: 1 }, { $project: { _id: 1 } }] } },
    { $match: { matches: { $size: 0 } } },
    { $unset: 'matches' },
  ];
}
