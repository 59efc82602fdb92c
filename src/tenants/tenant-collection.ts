import {
  BSON,
  type BSONSerializeOptions,
  type Document,
  type MongoClient,
  MongoServerError,
  type UUID,
} from 'mongodb';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { CollectionReference } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import { idAfter } from './bson-order.ts';
import {
  type CommandRunner,
  CursorLostError,
  FencedCommands,
  type FencedCommandsOptions,
} from './fenced-commands.ts';
import { PendingInserts } from './pending-inserts.ts';
import { PendingStatements } from './pending-statements.ts';

export type { CommandRunner };

/** How often a query is begun anew after the database was away in the middle of it. */
const MAX_LOSSES = 5;
/** For what is compared or written down, so that no type may be lost. */
const EXACT = { promoteValues: false, promoteBuffers: false, bsonRegExp: true } as const;

/** How a query is narrowed down. */
export interface FindOptions {
  sort?: Document;
  projection?: Document;
  limit?: number;
  skip?: number;
  /** What the server may take for all of it. */
  timeLimitMs?: number;
}

/** How all that match are read. */
export interface ScanOptions {
  projection?: Document;
  /** The number of documents in one batch at most; MongoDB ends a batch at 16 MiB. */
  batchSize?: number;
  /** An `_id`: what sorts up to it is left out. */
  after?: unknown;
}

/** What a collection is, beside its documents. */
export interface CollectionDescription {
  database: string;
  name: string;
  uuid: UUID;
  /** As `create` takes them. */
  options: Document;
  /** As `createIndexes` takes them. */
  indexes: Document[];
}

/** One statement of an update: `u` is a replacement, an update document or a pipeline. */
export interface UpdateStatement {
  q: Document;
  u: Document | Document[];
  multi?: boolean;
  upsert?: boolean;
  arrayFilters?: Document[];
}

/** One statement of a deletion; `limit` 0 deletes all that match. */
export interface DeleteStatement {
  q: Document;
  limit: 0 | 1;
}

/** A refusal by the server of one document or statement. */
export interface WriteFailure {
  index: number;
  code: number;
  errmsg: string;
  /** Of a duplicate: the index it hits, and the values. */
  keyPattern?: Document;
  keyValue?: Document;
  /** Of a document that breaks the collection's schema: how. */
  errInfo?: Document;
}

/** How a write is carried out. */
export interface WriteOptions {
  /** Whether it does no harm to carry it out twice, where the server cannot tell that it has been. */
  repeatable: boolean;
  /** What the server may take for it. */
  timeLimitMs?: number;
  /** Whether to stop at the first refusal, as by default. */
  ordered?: boolean;
  /** Of the command itself: `let`, `comment` … */
  fields?: Document;
}

/** How documents are inserted. */
export interface InsertOptions extends Omit<WriteOptions, 'repeatable'> {
  /** The indexes of documents whose `_id` was made for this very insert: who has it is that document. */
  ownIds?: ReadonlySet<number>;
}

/** What a write did. */
export interface WriteOutcome {
  /** Matched by an update, or removed by a deletion. */
  n: number;
  /** Changed by an update. */
  modified: number;
  upserted: { index: number; _id: unknown }[];
  failures: WriteFailure[];
  /**
   * The counts may leave something out. The write was sent again after an answer had got lost and the server cannot tell
   * whether it had taken place (a standalone MongoDB); or a rename ended a statement for many documents in the middle.
   */
  repeated: boolean;
}

/**
 * One organization's data. Every command carries the collection's UUID, so it reaches this collection or none: it follows
 * a rename by itself, finds nothing after a delete, and never touches the organization that took the name since.
 *
 * Goes through `db.command`, because the driver's own helpers drop the fence; what they retry, {@link FencedCommands} does.
 */
export class TenantCollection {
  readonly commands: FencedCommands;

  constructor(
    client: MongoClient,
    reference: CollectionReference,
    options: FencedCommandsOptions = {},
  ) {
    this.commands = new FencedCommands(client, reference, options);
  }

  /** The name under which the collection was last reached. */
  get name(): string {
    return this.commands.name;
  }

  /**
   * Inserts documents, in order, durably on a majority. Those without an `_id` get an ObjectId here. A repetition after a
   * lost answer (fail-over, step-down) recognises what the first attempt stored: a document with an `_id` of the caller's
   * by being equal in every field.
   *
   * @throws OrganizationNotFoundError when the organization was deleted, OrganizationBusyError when it is renamed all the time
   * @throws MongoServerError for the first document the server refuses; those before it are in
   * @throws DatabaseUnavailableError when the outcome is unknown
   */
  async insertMany(documents: readonly Document[]): Promise<void> {
    const [failure] = await this.#insert(documents, {});
    if (failure !== undefined) throw new MongoServerError({ message: failure.errmsg, ...failure });
  }

  /**
   * As {@link insertMany}, but goes on after a refusal.
   *
   * @returns the refusals, by the documents' indexes
   */
  insertEach(documents: readonly Document[]): Promise<WriteFailure[]> {
    return this.#insert(documents, { ordered: false });
  }

  /** As {@link insertMany}, or {@link insertEach} if not `ordered`. @returns the refusals: of an ordered insert, one at most */
  insert(documents: readonly Document[], options: InsertOptions = {}): Promise<WriteFailure[]> {
    return this.#insert(documents, options);
  }

  /** @returns the documents that match; @throws OrganizationNotFoundError, DatabaseUnavailableError, MongoServerError */
  async find(filter: Document, options: FindOptions = {}): Promise<Document[]> {
    const { timeLimitMs, ...rest } = options;
    return this.#collect((find) => ({ find, filter, ...rest, allowDiskUse: true }), timeLimitMs);
  }

  /** @returns what an aggregation gives. The pipeline has to stay within the collection: that is the caller's to see to. */
  aggregate(
    pipeline: readonly Document[],
    { timeLimitMs }: { timeLimitMs?: number } = {},
  ): Promise<Document[]> {
    return this.#collect(
      (aggregate) => ({ aggregate, pipeline, cursor: {}, allowDiskUse: true }),
      timeLimitMs,
    );
  }

  /**
   * @returns the name that the collection has now, its options and its indexes, as `mongodump` writes them down
   * @throws OrganizationNotFoundError, DatabaseUnavailableError
   */
  async describe(): Promise<CollectionDescription> {
    const { client, reference } = this.commands;
    const { database, uuid } = reference;
    const command = { listCollections: 1, filter: { 'info.uuid': uuid }, cursor: {} };
    const reply = await retryTransient(() =>
      client.db(database).command(command, { ...EXACT, ...withinDeadline() }),
    );
    const [found] = reply.cursor.firstBatch as Document[];
    if (found === undefined) throw new OrganizationNotFoundError();
    const indexes = await this.aggregate([
      { $indexStats: {} },
      { $sort: { name: 1 } },
      { $replaceWith: '$spec' },
    ]);
    return { database, name: String(found.name), uuid, options: found.options ?? {}, indexes };
  }

  /** @returns how many documents match; @throws OrganizationNotFoundError, DatabaseUnavailableError */
  async count(filter: Document = {}, options: { timeLimitMs?: number } = {}): Promise<number> {
    const [found] = await this.aggregate([{ $match: filter }, { $count: 'n' }], options);
    return Number(found?.n ?? 0);
  }

  /**
   * Reads all that match, in the order of `_id`, however much it is and however long that takes: goes on where it was after a
   * rename or a fail-over. Each document is as it is when it is read.
   *
   * @yields batches, never empty
   */
  scan(filter: Document, options: ScanOptions): AsyncGenerator<Document[], void> {
    return this.#scan(filter, options, {}, (document) => document._id);
  }

  /**
   * As {@link scan}, without a look into the documents: each comes as the bytes of its BSON, which are the caller's until it
   * asks for the next batch.
   */
  scanBytes(filter: Document, options: ScanOptions): AsyncGenerator<Uint8Array[], void> {
    const bson: object = { fieldsAsRaw: { firstBatch: true, nextBatch: true } };
    const idOf = (bytes: Document) => BSON.deserialize(bytes as Uint8Array, EXACT)._id;
    // The driver gives what is asked for as it is in place of documents.
    return this.#scan(filter, options, { bson }, idOf) as AsyncGenerator<Uint8Array[], void>;
  }

  async *#scan(
    filter: Document,
    { projection, batchSize, after }: ScanOptions,
    reading: { bson?: BSONSerializeOptions },
    idOf: (document: Document) => unknown,
  ): AsyncGenerator<Document[], void> {
    const options = {
      ...reading,
      // A filter that few documents match may take long to fill a batch.
      timeLimitMs: Infinity,
      ...(batchSize && { batchSize }),
    };
    let position: { id: unknown } | undefined = after === undefined ? undefined : { id: after };
    for (;;) {
      const from = position;
      const query = from === undefined ? filter : { $and: [filter, idAfter(from.id)] };
      const build = (find: string) => ({
        ...{ find, filter: query, sort: { _id: 1 } },
        ...(projection && { projection }),
        ...(batchSize && { batchSize }),
      });
      try {
        for await (const batch of this.commands.batches(build, options)) {
          const last = batch.at(-1);
          if (last === undefined) continue;
          const id = idOf(last);
          yield batch;
          position = { id };
        }
        return;
      } catch (error) {
        if (!(error instanceof CursorLostError)) throw error;
        // Without a step forward it would go round for as long as the database is away.
        if (error.isAway && position === from) throw error;
      }
    }
  }

  /**
   * Updates in order, durably on a majority, up to the first refusal.
   *
   * @param options - `repeatable`: whether it does no harm to carry the statements out twice. If it does, nothing is sent
   *   again where the server cannot tell (a standalone MongoDB; any statement with `multi`)
   * @throws OrganizationNotFoundError, OrganizationBusyError; DatabaseUnavailableError when the outcome is unknown
   */
  update(statements: readonly UpdateStatement[], options: WriteOptions): Promise<WriteOutcome> {
    return this.#write(new PendingStatements('update', statements, isOrdered(options)), options);
  }

  /** Deletes in order, durably on a majority. Throws as {@link update}. */
  delete(
    statements: readonly DeleteStatement[],
    options: WriteOptions = { repeatable: true },
  ): Promise<WriteOutcome> {
    return this.#write(new PendingStatements('delete', statements, isOrdered(options)), options);
  }

  async #write(
    pending: PendingStatements,
    { repeatable, timeLimitMs, fields }: WriteOptions,
  ): Promise<WriteOutcome> {
    const { isSingle: numbered } = pending;
    while (!pending.isDone) {
      const reply = await this.commands.run((name) => ({ ...pending.command(name), ...fields }), {
        ...{ write: true, numbered, repeatable },
        ...(timeLimitMs !== undefined && { timeLimitMs }),
        onRepeat: () => {
          pending.outcome.repeated = true;
        },
        onMove: ({ reply: before }) => before && pending.take(before),
      });
      pending.take(reply);
    }
    return pending.outcome;
  }

  async #insert(documents: readonly Document[], options: InsertOptions): Promise<WriteFailure[]> {
    const { timeLimitMs, fields } = options;
    const pending = new PendingInserts(documents, options);
    while (!pending.isDone) {
      const reply = await this.commands.run((name) => ({ ...pending.command(name), ...fields }), {
        ...{ write: true, numbered: true },
        ...(timeLimitMs !== undefined && { timeLimitMs }),
        onRepeat: () => {
          pending.isRepeated = true;
        },
        onMove: ({ reply: before }) => before && pending.take(before),
      });
      pending.take(reply);
      await pending.settle((document, isOwnId) => this.#holds(document, isOwnId));
    }
    return pending.refused;
  }

  /**
   * Whether this very document is stored. An `_id` made here says so by itself; otherwise the server compares, by its own
   * rules of equality, and puts `_id` first.
   */
  async #holds(document: Document, isIdOurs: boolean): Promise<boolean> {
    const { _id, ...fields } = document;
    if (isIdOurs) return (await this.count({ _id: { $eq: _id } })) === 1;
    // An object would put names like "7" before `_id`.
    const stored = new Map([['_id', _id], ...Object.entries(fields)]);
    const same = { $eq: ['$$ROOT', { $literal: stored }] };
    return (await this.count({ _id: { $eq: _id }, $expr: same })) === 1;
  }

  async #collect(
    build: (name: string) => Document,
    timeLimitMs: number | undefined,
  ): Promise<Document[]> {
    const limits = timeLimitMs === undefined ? {} : { timeLimitMs };
    for (let losses = 0; ; ) {
      try {
        const found: Document[] = [];
        for await (const batch of this.commands.batches(build, limits)) found.push(...batch);
        return found;
      } catch (error) {
        // To the last document or not at all: begun anew, it is one consistent answer again.
        if (!(error instanceof CursorLostError)) throw error;
        losses += error.isAway ? 1 : 0;
        if (losses > MAX_LOSSES) throw error;
      }
    }
  }
}

function isOrdered({ ordered = true }: WriteOptions): boolean {
  return ordered;
}
