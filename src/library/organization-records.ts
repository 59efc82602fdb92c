import type {
  AnyBulkWriteOperation,
  BulkWriteResult,
  CreateIndexesOptions,
  DeleteResult,
  Document,
  Filter,
  Flatten,
  IndexDescription,
  IndexDescriptionInfo,
  IndexSpecification,
  InferIdType,
  InsertManyResult,
  InsertOneResult,
  OptionalUnlessRequiredId,
  UpdateFilter,
  UpdateResult,
  WithId,
  WithoutId,
} from 'mongodb';
import type {
  DeleteStatement,
  TenantCollection,
  UpdateStatement,
} from '../tenants/tenant-collection.ts';
import {
  AGGREGATE_OPTIONS,
  type AggregateRecordsOptions,
  RecordsAggregationCursor,
} from './aggregation-cursor.ts';
import { stagesInside } from './aggregation-stages.ts';
import { deleteOf, replacementOf, updateOf } from './bulk-operations.ts';
import { BulkWriter } from './bulk-writer.ts';
import { assertDocument, knownOptions } from './driver-forms.ts';
import { FIND_OPTIONS, type FindRecordsOptions, RecordsFindCursor } from './find-cursor.ts';
import { RecordIndexes } from './record-indexes.ts';
import {
  type BulkRecordsOptions,
  type CountRecordsOptions,
  type DeleteRecordsOptions,
  type InsertRecordOptions,
  type InsertRecordsOptions,
  type ReplaceRecordOptions,
  type Sorted,
  splitOptions,
  type UpdateRecordsOptions,
  writeOptions,
} from './record-options.ts';
import { bulkErrorOf, writeErrorOf } from './write-errors.ts';

/**
 * One organization's records. It speaks like a `Collection` of the MongoDB driver, with its types, results and errors; but
 * every command carries the collection's UUID. So it follows a rename by itself, answers `OrganizationNotFoundError` after a
 * deletion, and never reaches the organization that took the name since, however long it is kept.
 *
 * Every write is durable on a majority. On a replica set, a write of one document is carried out once however often its
 * answer gets lost; what cannot be sent twice without harm is sent once, and `DatabaseUnavailableError` says that nobody knows
 * whether it took place.
 *
 * Everything throws OrganizationNotFoundError, OrganizationBusyError (renamed all the time), DatabaseUnavailableError,
 * UnsupportedOptionError, and `MongoServerError` for what the server refuses.
 */
export class OrganizationRecords<TSchema extends Document = Document> {
  readonly #collection: TenantCollection;
  readonly #bulk: BulkWriter;
  readonly #indexes: RecordIndexes;

  constructor(collection: TenantCollection) {
    this.#collection = collection;
    this.#bulk = new BulkWriter(collection);
    this.#indexes = new RecordIndexes(collection.commands);
  }

  /** The name under which the collection was last reached. */
  get collectionName(): string {
    return this.#collection.name;
  }

  /** Inserts one document. One without an `_id` gets an ObjectId, in the object itself as well. */
  async insertOne(
    document: OptionalUnlessRequiredId<TSchema>,
    options: InsertRecordOptions = {},
  ): Promise<InsertOneResult<TSchema>> {
    assertDocument(document, 'Document');
    const counts = await this.#bulk.insert('insertOne', [document], options);
    const [failure] = counts.failures;
    if (failure !== undefined) throw writeErrorOf(failure);
    return { acknowledged: true, insertedId: counts.insertedIds[0] as InferIdType<TSchema> };
  }

  /**
   * Inserts documents, in order and up to the first refusal, or all that can be if not `ordered`. Any number of them: they
   * are sent in several commands if they have to be.
   *
   * @throws MongoBulkWriteError
   */
  async insertMany(
    documents: readonly OptionalUnlessRequiredId<TSchema>[],
    options: InsertRecordsOptions = {},
  ): Promise<InsertManyResult<TSchema>> {
    const counts = await this.#bulk.insert('insertMany', documents, options);
    const error = bulkErrorOf(counts);
    if (error !== undefined) throw error;
    const insertedIds = counts.insertedIds as InsertManyResult<TSchema>['insertedIds'];
    return { acknowledged: true, insertedCount: counts.insertedCount, insertedIds };
  }

  /**
   * Carries out writes of all kinds, in as few commands as it takes.
   *
   * @throws MongoBulkWriteError; DatabaseUnavailableError when it is unknown what became of one of its commands: those
   *   before it took place
   */
  async bulkWrite(
    operations: readonly AnyBulkWriteOperation<TSchema>[],
    options: BulkRecordsOptions = {},
  ): Promise<BulkWriteResult> {
    const counts = await this.#bulk.write(operations, options);
    const error = bulkErrorOf(counts);
    if (error !== undefined) throw error;
    return counts.asResult();
  }

  find(): RecordsFindCursor<WithId<TSchema>>;
  find(filter: Filter<TSchema>, options?: FindRecordsOptions): RecordsFindCursor<WithId<TSchema>>;
  find<T extends Document>(
    filter: Filter<TSchema>,
    options?: FindRecordsOptions,
  ): RecordsFindCursor<T>;
  find(filter: Filter<TSchema> = {}, options: FindRecordsOptions = {}): RecordsFindCursor<unknown> {
    assertDocument(filter, 'Selector');
    const known = knownOptions('find', options, FIND_OPTIONS);
    return new RecordsFindCursor(this.#collection.commands, filter, known);
  }

  findOne(): Promise<WithId<TSchema> | null>;
  findOne(filter: Filter<TSchema>, options?: FindRecordsOptions): Promise<WithId<TSchema> | null>;
  findOne<T extends Document>(
    filter: Filter<TSchema>,
    options?: FindRecordsOptions,
  ): Promise<T | null>;
  async findOne(
    filter: Filter<TSchema> = {},
    options: FindRecordsOptions = {},
  ): Promise<Document | null> {
    const [found] = await this.find(filter, options).limit(-1).toArray();
    return found ?? null;
  }

  async updateOne(
    filter: Filter<TSchema>,
    update: UpdateFilter<TSchema> | Document[],
    options: UpdateRecordsOptions & Sorted = {},
  ): Promise<UpdateResult<TSchema>> {
    const [own, command] = splitOptions(options);
    return this.#update('updateOne', updateOf('updateOne', filter, update, own), command);
  }

  /**
   * Updates every document that matches. Not repeated after a lost answer.
   *
   * @throws UpdateInterruptedError when a rename of the organization ended it in the middle
   */
  async updateMany(
    filter: Filter<TSchema>,
    update: UpdateFilter<TSchema> | Document[],
    options: UpdateRecordsOptions = {},
  ): Promise<UpdateResult<TSchema>> {
    const [own, command] = splitOptions(options);
    const statement = { ...updateOf('updateMany', filter, update, own), multi: true };
    return this.#update('updateMany', statement, command);
  }

  async replaceOne(
    filter: Filter<TSchema>,
    replacement: WithoutId<TSchema>,
    options: ReplaceRecordOptions & Sorted = {},
  ): Promise<UpdateResult<TSchema>> {
    const [own, command] = splitOptions(options);
    return this.#update('replaceOne', replacementOf(filter, replacement, own), command);
  }

  async deleteOne(
    filter: Filter<TSchema> = {},
    options: DeleteRecordsOptions = {},
  ): Promise<DeleteResult> {
    const [own, command] = splitOptions(options);
    return this.#delete(deleteOf(filter, 1, own), command);
  }

  /** Deletes every document that matches. Not repeated after a lost answer, since it might delete newer ones. */
  async deleteMany(
    filter: Filter<TSchema> = {},
    options: DeleteRecordsOptions = {},
  ): Promise<DeleteResult> {
    const [own, command] = splitOptions(options);
    return this.#delete(deleteOf(filter, 0, own), command);
  }

  /**
   * Aggregates the organization's records with stages that stay within its collection.
   *
   * @throws UnsupportedStageError (at once) for `$lookup`, `$unionWith`, `$out`, `$merge` and every other stage but those
   */
  aggregate<T extends Document = Document>(
    pipeline: readonly Document[] = [],
    options: AggregateRecordsOptions = {},
  ): RecordsAggregationCursor<T> {
    const stages = stagesInside(pipeline);
    const known = knownOptions('aggregate', options, AGGREGATE_OPTIONS);
    return new RecordsAggregationCursor(this.#collection.commands, stages, known);
  }

  async countDocuments(
    filter: Filter<TSchema> = {},
    options: CountRecordsOptions = {},
  ): Promise<number> {
    const { skip, limit, ...rest } = options;
    const pipeline = [
      { $match: filter },
      ...(skip ? [{ $skip: skip }] : []),
      ...(limit ? [{ $limit: limit }] : []),
      { $group: { _id: 1, n: { $sum: 1 } } },
    ];
    const [found] = await this.aggregate<{ n: number }>(pipeline, rest).toArray();
    return Number(found?.n ?? 0);
  }

  /** The different values of a field; those of an array one by one. */
  async distinct<Key extends keyof WithId<TSchema>>(
    key: Key,
    filter?: Filter<TSchema>,
    options?: Pick<CountRecordsOptions, 'maxTimeMS' | 'comment' | 'collation' | 'hint'>,
  ): Promise<Flatten<WithId<TSchema>[Key]>[]>;
  async distinct(key: string, filter?: Filter<TSchema>, options?: object): Promise<unknown[]>;
  async distinct(
    key: string,
    filter: Filter<TSchema> = {},
    options: object = {},
  ): Promise<unknown[]> {
    const names = key.split('.');
    const paths = names.map((_, index) => names.slice(0, index + 1).join('.'));
    const pipeline = [
      { $match: filter },
      ...paths.map((path) => ({
        $unwind: { path: `$${path}`, preserveNullAndEmptyArrays: true },
      })),
      { $match: { [key]: { $exists: true } } },
      { $group: { _id: `$${key}` } },
      { $sort: { _id: 1 } },
    ];
    const values = await this.aggregate<{ _id: unknown }>(pipeline, options).toArray();
    return values.map(({ _id }) => _id);
  }

  /** Makes an index unless it exists; it stays when the organization is renamed. @returns its name */
  createIndex(keys: IndexSpecification, options: CreateIndexesOptions = {}): Promise<string> {
    return this.#indexes.create(keys, options);
  }

  /** @returns the names of the indexes, which exist now */
  createIndexes(
    indexes: readonly IndexDescription[],
    options: Pick<CreateIndexesOptions, 'maxTimeMS' | 'comment'> = {},
  ): Promise<string[]> {
    return this.#indexes.createAll(indexes, options);
  }

  /** @throws MongoServerError with code 27 when there is none of that name */
  dropIndex(name: string, options: { maxTimeMS?: number } = {}): Promise<Document> {
    return this.#indexes.drop(name, options);
  }

  /** The indexes there are, as the driver's `indexes()` describes them. */
  indexes(): Promise<IndexDescriptionInfo[]> {
    return this.#indexes.list();
  }

  async #update(
    method: string,
    statement: UpdateStatement,
    command: object,
  ): Promise<UpdateResult<TSchema>> {
    const outcome = await this.#collection.update([statement], writeOptions(method, command));
    const [failure] = outcome.failures;
    if (failure !== undefined) throw writeErrorOf(failure);
    const [upserted] = outcome.upserted;
    return {
      acknowledged: true,
      modifiedCount: outcome.modified,
      upsertedId: (upserted?._id ?? null) as InferIdType<TSchema> | null,
      upsertedCount: outcome.upserted.length,
      matchedCount: outcome.n - outcome.upserted.length,
    };
  }

  async #delete(statement: DeleteStatement, command: object): Promise<DeleteResult> {
    const outcome = await this.#collection.delete([statement], writeOptions('deleting', command));
    const [failure] = outcome.failures;
    if (failure !== undefined) throw writeErrorOf(failure);
    return { acknowledged: true, deletedCount: outcome.n };
  }
}
