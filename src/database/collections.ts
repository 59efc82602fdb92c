import type { Collection, Db, Document, IndexDescription } from 'mongodb';

/** An index a store needs, as `createIndexes` takes it. */
export type RequiredIndex = IndexDescription & { name: string };

/** What a document of the master database can belong to. */
export type OwnerKind = 'organization' | 'admin';

/** A field that names an organization or an admin, and what becomes of the document when that is gone. */
export interface Belonging {
  /** The field's path, as a query takes it. It holds an `ObjectId`; if it is `early`, an array of them as well. */
  field: string;
  owner: OwnerKind;
  /**
   * `remove`, unless said otherwise: the document goes. `clear`: it stays, and the field becomes null. `keep`: it stays as
   * it is, because it tells of the past (who did something), or goes by itself.
   */
  whenGone?: 'remove' | 'clear' | 'keep';
  /** The owner's id is chosen before the owner is made, so a document that names nobody is no orphan. */
  early?: true;
}

/** A collection of the master database and the indexes its invariants rest on. */
export interface MasterCollection {
  name: string;
  indexes: readonly RequiredIndex[];
  /**
   * **Every** field that names an organization or an admin (a test compares it with the documents' types). Deletion,
   * reconciliation and the consistency checks of tests and drills read it, so that none of them can forget a collection.
   * A document has to be written after its owner, unless the field is `early`.
   */
  belongsTo?: readonly Belonging[];
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
    collections.map(async (collection) => {
      const indexes = indexesOf(collection);
      if (indexes.length > 0) await master.collection(collection.name).createIndexes(indexes);
    }),
  );
}

/** The declared indexes, and one for each field by which documents are looked for when their owner goes. */
export function indexesOf({ indexes, belongsTo = [] }: MasterCollection): RequiredIndex[] {
  const served = (field: string) =>
    indexes.some(
      ({ key, partialFilterExpression }) =>
        Object.keys(key)[0] === field && partialFilterExpression === undefined,
    );
  const missing = belongsTo.filter(({ field, whenGone }) => whenGone !== 'keep' && !served(field));
  return [
    ...indexes,
    ...missing.map(({ field }) => ({ name: `belongs_to_${field}`, key: { [field]: 1 } })),
  ];
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
