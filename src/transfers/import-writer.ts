import { type Document, ObjectId } from 'mongodb';
import type { AppError } from '../errors.ts';
import { InvalidExtendedJsonError } from '../records/extended-json.ts';
import { RecordNotFoundError, refusalOf } from '../records/record-errors.ts';
import { recordIdText } from '../records/record-id.ts';
import type { TenantCollection, WriteFailure } from '../tenants/tenant-collection.ts';

/**
 * What becomes of records by their `_id`: `insert` takes new ones only, `replace` those that exist, `upsert` both.
 */
export type ImportMode = 'insert' | 'upsert' | 'replace';

/** A record on its way to the database. */
export interface ImportedDocument {
  line: number;
  document: Document;
}

/** What became of a batch. */
export interface WrittenBatch {
  inserted: number;
  replaced: number;
  refused: { line: number; error: AppError }[];
}

/**
 * Stores one batch; each of its records by itself, so that a refusal of one does not keep the others out.
 *
 * @throws OrganizationNotFoundError, OrganizationBusyError, DatabaseUnavailableError: some of the batch may be in
 */
export function writeBatch(
  collection: TenantCollection,
  batch: readonly ImportedDocument[],
  mode: ImportMode,
): Promise<WrittenBatch> {
  if (mode === 'insert') return insert(collection, batch);
  return mode === 'upsert' ? put(collection, batch, { upsert: true }) : replace(collection, batch);
}

async function insert(
  collection: TenantCollection,
  batch: readonly ImportedDocument[],
): Promise<WrittenBatch> {
  const failures = await collection.insertEach(batch.map(({ document }) => document));
  const refused = failures.map((failure) => refusal(batch, failure));
  return { inserted: batch.length - refused.length, replaced: 0, refused };
}

/** Replaces, in order: of several records with one `_id` the last one stays. */
async function put(
  collection: TenantCollection,
  batch: readonly ImportedDocument[],
  { upsert }: { upsert: boolean },
): Promise<WrittenBatch> {
  const result: WrittenBatch = { inserted: 0, replaced: 0, refused: [] };
  for (let from = 0; from < batch.length; ) {
    const rest = batch.slice(from);
    const statements = rest.map(({ document }) => {
      const { _id = new ObjectId(), ...fields } = document;
      return { q: { _id: { $eq: _id } }, u: { _id, ...fields }, upsert };
    });
    const { n, upserted, failures } = await collection.update(statements, { repeatable: true });
    result.inserted += upserted.length;
    result.replaced += n - upserted.length;
    const [failure] = failures;
    if (failure === undefined) break;
    result.refused.push(refusal(rest, failure));
    from += failure.index + 1;
  }
  return result;
}

async function replace(
  collection: TenantCollection,
  batch: readonly ImportedDocument[],
): Promise<WrittenBatch> {
  const named = batch.filter(({ document }) => document._id !== undefined);
  const nameless = batch.filter(({ document }) => document._id === undefined);
  const exists = await existing(collection, named);
  const result = await put(collection, named.filter(exists), { upsert: false });
  const found = result.replaced + result.refused.length;
  const absent = named.filter((one) => !exists(one));
  // One of them was deleted since: before or after it was replaced, nobody can tell.
  const stillExists =
    found < named.length - absent.length ? await existing(collection, named) : exists;
  const gone = named.filter((one) => exists(one) && !stillExists(one));
  result.refused.push(
    ...[...absent, ...gone].map(({ line }) => ({ line, error: new RecordNotFoundError() })),
    ...nameless.map(({ line }) => ({ line, error: idNeeded() })),
  );
  return result;
}

function idNeeded(): AppError {
  return new InvalidExtendedJsonError({ path: '/_id', message: 'is needed to replace a record' });
}

/** Which of them exist. The server compares, by its own rules: to it 1 and 1.0 are one `_id`. */
async function existing(
  collection: TenantCollection,
  batch: readonly ImportedDocument[],
): Promise<(one: ImportedDocument) => boolean> {
  const ids = new Map(batch.map(({ document: { _id } }) => [recordIdText(_id), _id]));
  const values = [...ids.values()];
  const found = await collection.aggregate([
    { $match: { _id: { $in: values } } },
    { $project: { _id: 0, at: { $indexOfArray: [{ $literal: values }, '$_id'] } } },
  ]);
  const indexes = new Set(found.map(({ at }) => Number(at)));
  const names = new Set([...ids.keys()].filter((_, index) => indexes.has(index)));
  return ({ document }) => names.has(recordIdText(document._id));
}

function refusal(batch: readonly ImportedDocument[], failure: WriteFailure) {
  const one = batch[failure.index];
  if (one === undefined) throw new Error('the server refused a document it was not sent');
  return { line: one.line, error: refusalOf(failure) };
}
