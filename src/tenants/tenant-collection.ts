import { type Document, type MongoClient, MongoServerError, ObjectId } from 'mongodb';
import type { CollectionReference } from '../registry/organization-document.ts';
import { idAfter } from './bson-order.ts';
import {
  type CommandRunner,
  CursorLostError,
  FencedCommands,
  type FencedCommandsOptions,
} from './fenced-commands.ts';

export type { CommandRunner };

const DUPLICATE_KEY = 11000;
/** A rename or drop ends what is under way on the collection. */
const QUERY_PLAN_KILLED = 175;

/** How a query is narrowed down. */
export interface FindOptions {
  sort?: Document;
  projection?: Document;
  limit?: number;
  skip?: number;
  /** What the server may take for each of its batches. */
  timeLimitMs?: number;
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
   * The write was sent again after an answer had got lost and the server cannot tell whether it had taken place (a
   * standalone MongoDB), so the counts may be those of the repetition alone.
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
    const [failure] = await this.#insert(documents, true);
    if (failure !== undefined) throw new MongoServerError({ message: failure.errmsg, ...failure });
  }

  /**
   * As {@link insertMany}, but goes on after a refusal.
   *
   * @returns the refusals, by the documents' indexes
   */
  insertEach(documents: readonly Document[]): Promise<WriteFailure[]> {
    return this.#insert(documents, false);
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

  /** @returns how many documents match; @throws OrganizationNotFoundError, DatabaseUnavailableError */
  async count(filter: Document = {}, options: { timeLimitMs?: number } = {}): Promise<number> {
    const [found] = await this.aggregate([{ $match: filter }, { $count: 'n' }], options);
    return Number(found?.n ?? 0);
  }

  /**
   * Reads all that match, in the order of `_id`, however much it is and however long that takes: goes on where it was after a
   * rename or a fail-over. Each document is as it is when it is read.
   *
   * @param options - `batchSize` is the number of documents in one batch at most; MongoDB ends a batch at 16 MiB
   * @yields batches, never empty
   */
  async *scan(
    filter: Document,
    {
      projection,
      batchSize,
      after,
    }: { projection?: Document; batchSize?: number; after?: unknown },
  ): AsyncGenerator<Document[], void> {
    let position = after === undefined ? undefined : { id: after };
    for (;;) {
      const from = position;
      const query = from === undefined ? filter : { $and: [filter, idAfter(from.id)] };
      const build = (find: string) => ({
        ...{ find, filter: query, sort: { _id: 1 } },
        ...(projection && { projection }),
        ...(batchSize && { batchSize }),
      });
      try {
        for await (const batch of this.commands.batches(build, {
          ...(batchSize && { batchSize }),
        })) {
          if (batch.length === 0) continue;
          yield batch;
          position = { id: batch.at(-1)?._id };
        }
        return;
      } catch (error) {
        if (!(error instanceof CursorLostError)) throw error;
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
    const single = (one: UpdateStatement) => one.multi !== true;
    return this.#write({ command: 'update', field: 'updates' }, statements, single, options);
  }

  /** Deletes in order, durably on a majority. Throws as {@link update}. */
  delete(
    statements: readonly DeleteStatement[],
    options: WriteOptions = { repeatable: true },
  ): Promise<WriteOutcome> {
    const single = (one: DeleteStatement) => one.limit === 1;
    return this.#write({ command: 'delete', field: 'deletes' }, statements, single, options);
  }

  async #write<T extends object>(
    { command, field }: { command: string; field: string },
    statements: readonly T[],
    isSingle: (statement: T) => boolean,
    { repeatable, timeLimitMs }: WriteOptions,
  ): Promise<WriteOutcome> {
    const outcome: WriteOutcome = {
      ...{ n: 0, modified: 0, upserted: [], failures: [], repeated: false },
    };
    for (let from = 0; from < statements.length; ) {
      const reply = await this.commands.run(
        (name) => ({ [command]: name, [field]: statements.slice(from) }),
        {
          ...{ write: true, numbered: statements.every(isSingle), repeatable },
          ...(timeLimitMs !== undefined && { timeLimitMs }),
          onRepeat: () => {
            outcome.repeated = true;
          },
          // What was done before the collection moved is done; its counts are lost.
          onMove: (done) => {
            from += done;
            outcome.repeated ||= done > 0;
          },
        },
      );
      const base = from;
      const at = <U extends { index: number }>(one: U): U => ({ ...one, index: base + one.index });
      outcome.n += Number(reply.n ?? 0);
      outcome.modified += Number(reply.nModified ?? 0);
      outcome.upserted.push(...((reply.upserted ?? []) as WriteOutcome['upserted']).map(at));
      const [failure] = ((reply.writeErrors ?? []) as WriteFailure[]).map(at);
      if (failure === undefined) return outcome;
      const killed = statements[failure.index];
      // A rename ended the search for the document, before anything was done to it; or a deletion of many on its way.
      const goesOn =
        failure.code === QUERY_PLAN_KILLED &&
        killed !== undefined &&
        (isSingle(killed) || command === 'delete');
      if (!goesOn) {
        outcome.failures.push(failure);
        return outcome;
      }
      from = failure.index;
    }
    return outcome;
  }

  async #insert(documents: readonly Document[], ordered: boolean): Promise<WriteFailure[]> {
    const made = new Set<number>();
    // What is still to be done, by the documents' own indexes.
    let left = documents.map((document, index) => {
      if (document._id !== undefined) return { index, document };
      made.add(index);
      return { index, document: { ...document, _id: new ObjectId() } };
    });
    const refused: WriteFailure[] = [];
    let repeated = false;
    while (left.length > 0) {
      const reply = await this.commands.run(
        (insert) => ({ insert, documents: left.map(({ document }) => document), ordered }),
        {
          ...{ write: true, numbered: true },
          onRepeat: () => {
            repeated = true;
          },
          onMove: (done) => {
            if (ordered) left = left.slice(done);
            // Some of the others are in, and some may have been refused: only a repetition can tell which.
            else repeated = true;
          },
        },
      );
      const failures = (reply.writeErrors ?? []) as WriteFailure[];
      let goOnAt = left.length;
      for (const failure of failures) {
        const one = left[failure.index];
        if (one === undefined) throw new Error('the server refused a document it was not sent');
        const duplicate = repeated && failure.code === DUPLICATE_KEY;
        if (duplicate && (made.has(one.index) || (await this.#holds(one.document)))) {
          if (ordered) goOnAt = failure.index + 1;
          continue;
        }
        refused.push({ ...failure, index: one.index });
        if (ordered) return refused;
      }
      left = left.slice(goOnAt);
    }
    return refused;
  }

  /** Whether this very document is stored. The server compares, by its own rules of equality, and puts `_id` first. */
  async #holds(document: Document): Promise<boolean> {
    const { _id, ...fields } = document;
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
    for (;;) {
      try {
        const found: Document[] = [];
        for await (const batch of this.commands.batches(build, limits)) found.push(...batch);
        return found;
      } catch (error) {
        // To the last document or not at all: begun anew, it is one consistent answer again.
        if (!(error instanceof CursorLostError)) throw error;
      }
    }
  }
}
