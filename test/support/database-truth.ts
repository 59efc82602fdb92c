import { BSON, type Db, type Document } from 'mongodb';
import { expect } from 'vitest';
import { MASTER_COLLECTIONS } from '../../src/composition/stores.ts';
import { checkConsistency } from './consistency.ts';

const MASTER_NAMES: readonly string[] = MASTER_COLLECTIONS.map(({ name }) => name);

/** The names of a database's collections that are not the master database's own, sorted. */
export async function tenantCollections(db: Db): Promise<string[]> {
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  return all
    .map(({ name }) => name)
    .filter((name) => !MASTER_NAMES.includes(name))
    .sort();
}

/** The UUID of a collection, or undefined when there is none of that name. */
export async function uuidOf(db: Db, name: string): Promise<string | undefined> {
  const [found] = await db.listCollections({ name }, { nameOnly: false }).toArray();
  return found?.info?.uuid?.toString('hex');
}

/** Every document of every collection, and every collection: what a `mongodump` would take. */
export async function contentsOf(db: Db): Promise<Record<string, Document[]>> {
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  const entries = all.map(async ({ name }): Promise<[string, Document[]]> => {
    return [name, await db.collection(name).find().sort({ _id: 1 }).toArray()];
  });
  return Object.fromEntries((await Promise.all(entries)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Asserts that nothing in the database changes meanwhile, be it done or half done. */
export async function changingNothing<T>(db: Db, work: () => Promise<T>): Promise<T> {
  const before = await contentsOf(db);
  const result = await work();
  expect(await contentsOf(db)).toEqual(before);
  return result;
}

/** Where in a database, collection names included, one of the texts occurs: ids as hex, e-mail addresses, names. */
export async function placesNaming(db: Db, ...needles: string[]): Promise<string[]> {
  const places: string[] = [];
  for (const [name, documents] of Object.entries(await contentsOf(db))) {
    const texts = [name, ...documents.map((document) => BSON.EJSON.stringify(document))];
    for (const text of texts)
      if (needles.some((needle) => text.includes(needle))) places.push(`${name}: ${text}`);
  }
  return places;
}

/** What {@link checkConsistency} finds, in words. Empty when all is well. */
export async function contradictions(db: Db): Promise<string[]> {
  return (await checkConsistency(db)).map(({ kind, what }) => `${kind}: ${what}`);
}
