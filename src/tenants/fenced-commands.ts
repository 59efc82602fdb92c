import {
  type BSONSerializeOptions,
  type ClientSession,
  type Document,
  Long,
  type MongoClient,
  MongoError,
  MongoServerError,
} from 'mongodb';
import {
  DatabaseUnavailableError,
  isDatabaseUnavailable,
  retryTransient,
} from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { whileAlive } from '../database/time-limit.ts';
import { isReplicaSet } from '../database/topology.ts';
import { AppError } from '../errors.ts';
import type { CollectionReference } from '../registry/organization-document.ts';
import { OrganizationBusyError, OrganizationNotFoundError } from '../registry/registry-errors.ts';
import { FenceMissError, runFenced, withPlainCode } from './fence.ts';

/** A rename or drop ends the queries that are under way on the collection. */
const QUERY_PLAN_KILLED = 175;
/** The cursor ended for good: idle for too long, or its node was restarted. */
const CURSOR_NOT_FOUND = 43;
/** Renames that may overtake a command, without its getting anywhere, before it gives up. */
const MAX_MOVES = 10;

/** How a command reaches the server. Only drills replace it, to show that without the fence they fail. */
export type CommandRunner = typeof runFenced;

/** How the commands on one collection are run. */
export interface FencedCommandsOptions {
  /** Only drills and tests have another one than {@link runFenced}. */
  run?: CommandRunner;
  /** How documents that are read come out. By default as the driver gives them: numbers as numbers. */
  bson?: BSONSerializeOptions;
}

/** What a command needs. */
export interface CommandOptions {
  write: boolean;
  /**
   * The write may carry a number (`txnNumber`), by which a replica set carries it out once however often it is sent: an
   * `insert`, `update` or `delete` whose statements each concern one document.
   */
  numbered?: boolean;
  /** For a query whose cursor is read on: see `FencedOptions`. */
  session?: ClientSession;
  /** Whether it does no harm to carry it out twice, where it cannot be numbered. By default it does none. */
  repeatable?: boolean;
  /** See `FencedOptions`. */
  timeLimitMs?: number;
  /** How the documents come out, if not as those of the collection do. */
  bson?: BSONSerializeOptions;
  /** Called before a repetition whose first attempt may have taken place: only where writes are not retryable. */
  onRepeat?: () => void;
  /** Called before the command is sent to where the collection is now, with what was done of it before. */
  onMove?: (moved: { reply?: Document }) => void;
}

/** The query has ended before its last batch, because the collection was renamed or the database's node changed. */
export class CursorLostError extends AppError {
  /** The database is away, so that asking anew may have to wait, or be in vain. */
  readonly isAway: boolean;

  constructor(cause: unknown, isAway: boolean) {
    super(
      ...(['unavailable', 'cursor_lost'] as const),
      'The query has ended early: the organization was renamed, or the database changed its node. Ask again.',
      { cause, retryAfter: 1 },
    );
    this.isAway = isAway;
  }
}

/**
 * Runs commands on one organization's collection. Each carries the collection's UUID, so it reaches this collection or
 * none; it follows a rename by itself and is sent again after a lost connection. On a replica set a numbered write sent twice
 * takes place once; on a standalone server there is no such thing, and `onRepeat` tells.
 *
 * @see https://www.mongodb.com/docs/manual/core/retryable-writes/
 */
export class FencedCommands {
  readonly client: MongoClient;
  readonly #run: CommandRunner;
  readonly #reading: BSONSerializeOptions;
  readonly #writing: BSONSerializeOptions;
  #reference: CollectionReference;

  constructor(
    client: MongoClient,
    reference: CollectionReference,
    { run = runFenced, bson = {} }: FencedCommandsOptions = {},
  ) {
    this.client = client;
    this.#reference = reference;
    this.#run = run;
    this.#reading = bson;
    // The answers to writes are counts and codes, which are read here.
    this.#writing = { ...bson, ...PLAIN_TYPES };
  }

  /** The name under which the collection was last reached. */
  get name(): string {
    return this.#reference.name;
  }

  /** Where the collection was last reached. Its UUID never changes. */
  get reference(): CollectionReference {
    return this.#reference;
  }

  /**
   * Runs one command.
   *
   * @param build - the command, for the name the collection has now
   * @throws OrganizationNotFoundError when the collection was dropped, OrganizationBusyError when it is renamed all the time,
   *   DatabaseUnavailableError, MongoServerError
   */
  async run(build: (name: string) => Document, options: CommandOptions): Promise<Document> {
    for (let moves = 0; ; ) {
      try {
        return await this.#attempt(build, options);
      } catch (error) {
        const miss = missOf(error, options);
        if (miss === undefined) throw error;
        if (miss.actual === null) throw new OrganizationNotFoundError();
        if (moves === MAX_MOVES) throw new OrganizationBusyError();
        options.onMove?.(miss);
        moves = miss.done > 0 ? 0 : moves + 1;
        this.#reference = { ...this.#reference, name: miss.actual ?? this.#reference.name };
      }
    }
  }

  /**
   * Runs a query and gives its documents in the batches in which they come. The cursor is closed when the iteration ends,
   * however it ends.
   *
   * @throws CursorLostError after the first batch, when the rest has to be asked for anew; otherwise as {@link run}
   */
  async *batches(
    build: (name: string) => Document,
    options: { timeLimitMs?: number; batchSize?: number; bson?: BSONSerializeOptions },
  ): AsyncGenerator<Document[], void> {
    const { batchSize, ...limits } = options;
    // The driver would take any free session for each command, and the server gives a cursor's documents to one alone.
    await using session = this.client.startSession({ causalConsistency: false });
    const { cursor } = await this.run(build, { write: false, ...limits, session });
    let id: Long = asLong(cursor.id);
    const collection = cursorCollection(cursor.ns, this.name);
    try {
      yield cursor.firstBatch;
      while (!id.isZero()) {
        const command = { getMore: id, collection, ...(batchSize && { batchSize }) };
        const reply = await this.#getMore(command, session, limits);
        id = asLong(reply.cursor.id);
        yield reply.cursor.nextBatch;
      }
    } finally {
      if (!id.isZero()) void this.#kill(collection, id);
    }
  }

  /**
   * Runs a query and gives its first batch, each document as the bytes it is stored in: field for field in their order, also
   * what JavaScript could not hold so. MongoDB ends a batch at 16 MiB; what comes after it is left.
   *
   * @returns the documents, and whether these are all. Throws as {@link run}
   */
  async firstBatch(
    build: (name: string) => Document,
    limits: { timeLimitMs?: number } = {},
  ): Promise<{ documents: Uint8Array[]; isLast: boolean }> {
    const bson = { fieldsAsRaw: { firstBatch: true } };
    const { cursor } = await this.run(build, { write: false, ...limits, bson });
    const id = asLong(cursor.id);
    if (!id.isZero()) void this.#kill(cursorCollection(cursor.ns, this.name), id);
    return { documents: cursor.firstBatch, isLast: id.isZero() };
  }

  /**
   * A cursor belongs to its collection by its id, so that the fence of its query holds for it. After a lost answer nobody
   * knows which batch would be the next.
   */
  async #getMore(
    command: Document,
    session: ClientSession,
    { timeLimitMs, bson = this.#reading }: { timeLimitMs?: number; bson?: BSONSerializeOptions },
  ): Promise<Document> {
    const db = this.client.db(this.#reference.database);
    const send = (limit: object) => db.command(command, { ...bson, session, ...limit });
    try {
      if (timeLimitMs === undefined) return await send(withinDeadline());
      return await whileAlive(db.client, timeLimitMs, (signal) => send({ signal }));
    } catch (error) {
      const lost = error instanceof MongoServerError && LOST.has(Number(error.code));
      const away = !lost && isDatabaseUnavailable(error);
      throw lost || away ? new CursorLostError(error, away) : withPlainCode(error);
    }
  }

  async #kill(collection: string, id: Long): Promise<void> {
    const db = this.client.db(this.#reference.database);
    try {
      await db.command({ killCursors: collection, cursors: [id] }, withinDeadline());
    } catch {
      // What is left of it the server ends by itself after ten minutes.
    }
  }

  async #attempt(build: (name: string) => Document, options: CommandOptions): Promise<Document> {
    const { write, numbered = false, repeatable = true, timeLimitMs, onRepeat, session } = options;
    const { database, name, uuid } = this.#reference;
    const isNumbered = numbered && (await isReplicaSet(this.client));
    const writing = isNumbered ? this.client.startSession() : undefined;
    const runOptions = {
      ...{ write, bson: write ? this.#writing : (options.bson ?? this.#reading) },
      ...(timeLimitMs !== undefined && { timeLimitMs }),
      ...(session && { session }),
      ...(writing && { retryable: { session: writing, number: nextNumber(writing) } }),
    };
    const send = () => this.#run(this.client.db(database), uuid, build(name), runOptions);
    // Whether an attempt may have taken place of which nobody knows.
    let unknown = false;
    try {
      const { reply, error } = await retryTransient(async () => {
        if (unknown && !isNumbered) onRepeat?.();
        try {
          return { reply: await send() };
        } catch (error) {
          unknown ||= !isCertainlyUndone(error);
          if (isNumbered || repeatable || !unknown) throw error;
          return { error };
        }
      });
      if (reply === undefined) throw error;
      return reply;
    } catch (error) {
      throw isDatabaseUnavailable(error) ? new DatabaseUnavailableError(error) : error;
    } finally {
      await writing?.endSession();
    }
  }
}

const LOST = new Set([QUERY_PLAN_KILLED, CURSOR_NOT_FOUND]);

/** Patterns stay as they are: a refusal may quote one that JavaScript does not know. */
const PLAIN_TYPES = {
  ...{ promoteValues: true, promoteLongs: true, promoteBuffers: false, bsonRegExp: true },
  ...{ useBigInt64: false, raw: false },
} as const;

/** A node that is not the primary does nothing of a command, and of one for which there is no connection nothing is sent. */
const NOT_WRITABLE_PRIMARY = 10107;
const NEVER_SENT = new Set([
  'MongoServerSelectionError',
  'MongoWaitQueueTimeoutError',
  'MongoPoolClearedError',
]);

function isCertainlyUndone(error: unknown): boolean {
  if (error instanceof MongoServerError) return Number(error.code) === NOT_WRITABLE_PRIMARY;
  // "HandshakeError": the connection never came to be.
  return error instanceof MongoError
    ? NEVER_SENT.has(error.name) || error.hasErrorLabel('HandshakeError')
    : false;
}

/**
 * The numbers of a server session only ever rise, and the driver, which lends it to others later, counts them there. It
 * gives them to the writes of its own helpers only, which would drop the fence.
 */
function nextNumber(session: ClientSession): number {
  const { serverSession } = session as unknown as { serverSession: { txnNumber: number } };
  serverSession.txnNumber += 1;
  return serverSession.txnNumber;
}

/** Its own name at the time of the query: a rename in between does not matter, the cursor has it as it was. */
function cursorCollection(namespace: unknown, name: string): string {
  return typeof namespace === 'string' ? namespace.slice(namespace.indexOf('.') + 1) : name;
}

function asLong(value: Long | number | bigint): Long {
  return typeof value === 'object' ? value : Long.fromString(String(value));
}

/** What there is to follow: the collection is somewhere else, or was taken away while it was being read. */
function missOf(error: unknown, { write }: CommandOptions): Miss | undefined {
  if (error instanceof FenceMissError) return missOfWrite(error);
  const killed = error instanceof MongoServerError && Number(error.code) === QUERY_PLAN_KILLED;
  return killed && !write ? { actual: undefined, done: 0 } : undefined;
}

function missOfWrite({ actual, done, reply }: FenceMissError): Miss {
  return { actual, done, ...(reply && { reply }) };
}

interface Miss {
  /** Undefined when only another attempt can tell. */
  actual: string | null | undefined;
  done: number;
  reply?: Document;
}
