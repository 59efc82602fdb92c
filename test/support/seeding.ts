import { type Db, ObjectId } from 'mongodb';
import { MASTER_COLLECTIONS } from '../../src/composition/stores.ts';
import type { MasterCollection, OwnerKind } from '../../src/database/collections.ts';

/**
 * Puts a document into every collection of the master database for every field that makes it belong to an owner: with no
 * other field than that, and those that unique indexes need. For tests of what no feature may leave behind.
 *
 * @param except - collections whose documents are removed in another way
 * @returns the places: `sessions.organization_id` …
 */
export async function seedBelongings(
  db: Db,
  owner: OwnerKind,
  id: ObjectId,
  except: readonly MasterCollection[] = [],
): Promise<string[]> {
  const places: string[] = [];
  for (const collection of MASTER_COLLECTIONS.filter((one) => !except.includes(one)))
    for (const { field, owner: of, whenGone } of collection.belongsTo ?? []) {
      if (of !== owner || whenGone === 'keep') continue;
      const _id = new ObjectId();
      const fields = { ...fillers(collection), [field]: id };
      await db.collection(collection.name).updateOne({ _id }, { $set: fields }, { upsert: true });
      places.push(`${collection.name}.${field}`);
    }
  return places;
}

/** A value of its own for every field of which no two documents may have the same. */
function fillers({ indexes }: MasterCollection): Record<string, ObjectId> {
  const unique = indexes.filter((index) => index.unique).flatMap(({ key }) => Object.keys(key));
  return Object.fromEntries(unique.map((field) => [field, new ObjectId()]));
}
