import {
  type ClientSession,
  type Document,
  Long,
  type MongoClient,
  MongoServerError,
  type Timestamp,
} from 'mongodb';
import { withinDeadline } from '../database/deadline.ts';
import { whileAlive } from '../database/time-limit.ts';
import type { CollectionReference } from '../registry/organization-document.ts';

/** How long the server holds a question about changes open. */
const AWAIT_MS = 1_000;
/** Changes in one batch at most. They carry no documents, so they are small. */
const BATCH_SIZE = 200;

/** What the server says when the oplog no longer reaches back to where a stream was. */
const HISTORY_LOST = new Set([
  286, // ChangeStreamHistoryLost
  280, // ChangeStreamFatalError
  136, // CappedPositionLost
]);

/** One change of a collection; `drop` is the collection's own end. */
export interface TenantChange {
  type: 'insert' | 'update' | 'replace' | 'delete' | 'drop';
  /** Where the stream is after it. */
  token: string;
  /** The `_id` of the document. */
  id: unknown;
  /** When it was made, by the database's clock. */
  at: Date;
  clusterTime: Timestamp;
}

/** What came, in order, and where the stream is after it. */
export interface ChangeBatch {
  changes: readonly TenantChange[];
  token: string;
}

/** Reads the bytes of a document: exactly, so that an `_id` from it finds the document. */
export type ReadExactly = (bytes: Uint8Array) => ReadonlyMap<string, unknown>;

/** The changes after a position are no longer all there. */
export class ChangeHistoryLostError extends Error {
  constructor(cause: unknown) {
    super('the oplog no longer reaches back to the position', { cause });
    this.name = 'ChangeHistoryLostError';
  }
}

/**
 * The changes of one organization's collection. A change stream on a collection goes by its name and ends with a rename;
 * this one is on the database and lets through what carries the collection's UUID. So it goes on through a rename, and of the
 * organization that takes the name next it sees nothing. It tells **which** documents changed, and not how they are:
 * that is for `TenantCollection` to read, through the fence.
 *
 * A cursor of its own rather than the driver's `ChangeStream`, which does not tell its first position before it has waited for
 * a change, and has no deadlines.
 *
 * @see https://www.mongodb.com/docs/manual/reference/change-events/ (collectionUUID, showExpandedEvents)
 */
export class TenantChanges implements AsyncDisposable {
  readonly #client: MongoClient;
  readonly #session: ClientSession;
  readonly #database: string;
  readonly #read: ReadExactly;
  readonly #id: Long;
  /** Where the stream began. */
  readonly token: string;

  private constructor(
    { client, database, read, session }: Source & { session: ClientSession },
    cursor: Document,
  ) {
    this.#client = client;
    this.#session = session;
    this.#database = database;
    this.#read = read;
    this.#id = cursor.id instanceof Long ? cursor.id : Long.fromNumber(Number(cursor.id));
    this.token = tokenOf(cursor.postBatchResumeToken);
  }

  /**
   * @param after - a position to go on after; by default now. That it is too old may only become known in {@link next}
   * @param read - of events, with the documents' ids
   * @throws ChangeHistoryLostError; when the database is away, an error for which `isDatabaseUnavailable` holds
   */
  static async open(
    client: MongoClient,
    { database, uuid }: CollectionReference,
    { after, read }: { after: string | undefined; read: ReadExactly },
  ): Promise<TenantChanges> {
    const session = client.startSession({ causalConsistency: false });
    const startAfter = after === undefined ? {} : { startAfter: { _data: after } };
    const types = ['insert', 'update', 'replace', 'delete', 'drop'];
    const command = {
      aggregate: 1,
      pipeline: [
        { $changeStream: { showExpandedEvents: true, ...startAfter } },
        { $match: { collectionUUID: uuid, operationType: { $in: types } } },
        { $project: { operationType: 1, documentKey: 1, wallTime: 1, clusterTime: 1 } },
      ],
      // Nothing is looked for yet, so the answer comes at once.
      cursor: { batchSize: 0 },
    };
    try {
      const reply = await client.db(database).command(command, { session, ...withinDeadline() });
      return new TenantChanges({ client, database, read, session }, reply.cursor);
    } catch (error) {
      await session.endSession();
      throw historyLost(error) ?? error;
    }
  }

  /**
   * Waits up to a second for changes; longer where the server has much of others to pass over.
   *
   * @throws ChangeHistoryLostError; when the database is away, an error for which `isDatabaseUnavailable` holds
   */
  async next(): Promise<ChangeBatch> {
    const command = {
      ...{ getMore: this.#id, collection: '$cmd.aggregate' },
      ...{ batchSize: BATCH_SIZE, maxTimeMS: AWAIT_MS },
    };
    // What is around the changes is read plainly: of an error's code of another type the driver would make nothing.
    const options = { session: this.#session, fieldsAsRaw: { nextBatch: true } };
    try {
      const { cursor } = await whileAlive(this.#client, Infinity, (signal) => {
        // The driver honours it on every operation, although its types name it only for some.
        const limited: object = { ...options, signal };
        return this.#client.db(this.#database).command(command, limited);
      });
      return {
        changes: cursor.nextBatch.map((event: Uint8Array) => changeOf(this.#read(event))),
        token: tokenOf(cursor.postBatchResumeToken),
      };
    } catch (error) {
      throw historyLost(error) ?? error;
    }
  }

  /** Ends it. A {@link next} under way fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    // What cannot be told now the server ends by itself after ten minutes.
    await this.#client
      .db(this.#database)
      .command({ killCursors: '$cmd.aggregate', cursors: [this.#id] })
      .catch(() => {});
    await this.#session.endSession().catch(() => {});
  }
}

interface Source {
  client: MongoClient;
  database: string;
  read: ReadExactly;
}

function historyLost(error: unknown): ChangeHistoryLostError | undefined {
  const isLost = error instanceof MongoServerError && HISTORY_LOST.has(Number(error.code));
  return isLost ? new ChangeHistoryLostError(error) : undefined;
}

function changeOf(event: ReadonlyMap<string, unknown>): TenantChange {
  const token = event.get('_id') as ReadonlyMap<string, unknown>;
  const key = event.get('documentKey') as ReadonlyMap<string, unknown> | undefined;
  return {
    type: event.get('operationType') as TenantChange['type'],
    token: tokenOf(Object.fromEntries(token)),
    id: key?.get('_id'),
    at: event.get('wallTime') as Date,
    clusterTime: event.get('clusterTime') as Timestamp,
  };
}

function tokenOf(token: unknown): string {
  const { _data } = token as { _data?: unknown };
  if (typeof _data !== 'string') throw new Error('the server told no position of the stream');
  return _data;
}
