import { type Document, MongoInvalidArgumentError, ObjectId } from 'mongodb';
import type {
  DeleteStatement,
  InsertOptions,
  TenantCollection,
  UpdateStatement,
  WriteFailure,
  WriteOptions,
} from '../tenants/tenant-collection.ts';
import { type BulkItem, bulkItemOf } from './bulk-operations.ts';
import { insertOptions, writeOptions } from './record-options.ts';
import { batchesOf } from './write-batches.ts';
import { BulkCounts } from './write-errors.ts';

/** Some writes of one kind, one after the other, and where they begin. */
interface Run {
  kind: BulkItem['kind'];
  from: number;
  items: object[];
}

/** Carries out many writes, in as few commands as the server takes them in. */
export class BulkWriter {
  readonly #collection: TenantCollection;

  constructor(collection: TenantCollection) {
    this.#collection = collection;
  }

  /** @returns what was done, and what was refused */
  async insert(
    method: string,
    documents: readonly Document[],
    options: object,
  ): Promise<BulkCounts> {
    if (!Array.isArray(documents) || documents.some((one) => typeof one !== 'object' || !one))
      throw new MongoInvalidArgumentError('Argument "docs" must be an array of documents');
    assertSome(documents);
    const counts = new BulkCounts();
    await this.#insert(documents, 0, insertOptions(method, options), counts);
    return counts;
  }

  /** @returns what was done, and what was refused */
  async write(operations: readonly unknown[], options: object): Promise<BulkCounts> {
    if (!Array.isArray(operations))
      throw new MongoInvalidArgumentError('Argument "operations" must be an array of documents');
    assertSome(operations);
    const known = writeOptions('bulkWrite', options);
    const counts = new BulkCounts();
    for (const { kind, from, items } of runsOf(operations.map(bulkItemOf))) {
      if (kind === 'insert') await this.#insert(items, from, known, counts);
      else if (kind === 'update' || kind === 'updateMany')
        await this.#update(items as UpdateStatement[], from, known, counts);
      else await this.#delete(items as DeleteStatement[], from, known, counts);
      if (known.ordered !== false && counts.hasWriteErrors()) break;
    }
    return counts;
  }

  async #insert(
    documents: readonly Document[],
    base: number,
    options: InsertOptions,
    counts: BulkCounts,
  ): Promise<void> {
    const ownIds = new Set(documents.flatMap((one, index) => (giveId(one) ? [index] : [])));
    for (const { from, items } of batchesOf(documents)) {
      const own = items.flatMap((_, index) => (ownIds.has(from + index) ? [index] : []));
      const ids = { ownIds: new Set(own) };
      const failures = await this.#collection.insert(items, { ...without(options, 'let'), ...ids });
      const refused = new Set(failures.map(({ index }) => index));
      const end = options.ordered === false ? items.length : (failures[0]?.index ?? items.length);
      for (const [index, { _id }] of items.slice(0, end).entries()) {
        if (refused.has(index)) continue;
        counts.insertedIds[base + from + index] = _id;
        counts.insertedCount += 1;
      }
      counts.addFailures(moved(failures, base + from));
      if (options.ordered !== false && failures.length > 0) return;
    }
  }

  async #update(
    statements: readonly UpdateStatement[],
    base: number,
    options: WriteOptions,
    counts: BulkCounts,
  ): Promise<void> {
    for (const { from, items } of batchesOf(statements)) {
      const outcome = await this.#collection.update(items, options);
      counts.matchedCount += outcome.n - outcome.upserted.length;
      counts.modifiedCount += outcome.modified;
      counts.upsertedCount += outcome.upserted.length;
      for (const { index, _id } of outcome.upserted) counts.upsertedIds[base + from + index] = _id;
      counts.addFailures(moved(outcome.failures, base + from));
      if (options.ordered !== false && outcome.failures.length > 0) return;
    }
  }

  async #delete(
    statements: readonly DeleteStatement[],
    base: number,
    options: WriteOptions,
    counts: BulkCounts,
  ): Promise<void> {
    for (const { from, items } of batchesOf(statements)) {
      const known = without(options, 'bypassDocumentValidation');
      const outcome = await this.#collection.delete(items, known);
      counts.deletedCount += outcome.n;
      counts.addFailures(moved(outcome.failures, base + from));
      if (options.ordered !== false && outcome.failures.length > 0) return;
    }
  }
}

function assertSome(operations: readonly unknown[]): void {
  if (operations.length === 0)
    throw new MongoInvalidArgumentError('Invalid BulkOperation, Batch cannot be empty');
}

/** As the driver does it, in the document itself. @returns whether it had none */
function giveId(document: Document): boolean {
  if (document._id !== undefined && document._id !== null) return false;
  document._id = new ObjectId();
  return true;
}

/** The options of a bulk write that this kind of command takes. */
function without<T extends InsertOptions>(options: T, field: string): T {
  const { [field]: _, ...fields } = options.fields ?? {};
  return { ...options, fields };
}

function moved(failures: readonly WriteFailure[], by: number): WriteFailure[] {
  return failures.map((failure) => ({ ...failure, index: failure.index + by }));
}

function runsOf(items: readonly BulkItem[]): Run[] {
  const runs: Run[] = [];
  for (const [from, { kind, item }] of items.entries()) {
    const last = runs.at(-1);
    if (last?.kind === kind) last.items.push(item);
    else runs.push({ kind, from, items: [item] });
  }
  return runs;
}
