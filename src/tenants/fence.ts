import {
  type BSONSerializeOptions,
  type ClientSession,
  type Db,
  type Document,
  Long,
  MongoServerError,
  type UUID,
} from 'mongodb';
import { withinDeadline } from '../database/deadline.ts';
import { DURABLE } from '../database/mongo-client.ts';
import { whileAlive } from '../database/time-limit.ts';

/** `CollectionUUIDMismatch`: the name no longer belongs to the collection that was meant. */
const COLLECTION_UUID_MISMATCH = 361;

/**
 * The collection that was meant is not at the name that was used. Nothing was created, and nothing read or written but for
 * what {@link reply} tells of: a rename may come in the middle of a write.
 *
 * @see https://www.mongodb.com/docs/manual/reference/command/insert/ (collectionUUID)
 */
export class FenceMissError extends Error {
  /** Where the collection is now, or null when it no longer exists. */
  readonly actual: string | null;
  /** How many statements of an ordered write were carried out before the miss. */
  readonly done: number;
  /** What the server answered to a write: what it did before the miss, and the {@link missedIn statements} that missed. */
  readonly reply: Document | undefined;

  constructor(actual: string | null, done = 0, reply?: Document) {
    super(actual === null ? 'the collection was dropped' : `the collection is now ${actual}`);
    this.name = 'FenceMissError';
    this.actual = actual;
    this.done = done;
    this.reply = reply;
  }
}

/** The indexes of the statements of a write that missed. */
export function missedIn(reply: Document): Set<number> {
  return new Set(
    errorsIn(reply)
      .filter(isMiss)
      .map(({ index }) => Number(index)),
  );
}

/** How a fenced command is run. */
export interface FencedOptions {
  /** Asks for durability; for every command that changes something. */
  write: boolean;
  /**
   * What the server may take for it (`maxTimeMS`, for a query with all its batches); `Infinity`: as long as it takes. Without
   * one, it has what a caller waits for a database that is away.
   */
  timeLimitMs?: number;
  /** What a query and the rest of its batches share; the server gives a cursor's documents to no other session. */
  session?: ClientSession;
  /** Makes a write retryable: sent twice with the same number, it takes place once. Only on a replica set. */
  retryable?: { session: ClientSession; number: number };
  /** How the answer's documents are read. */
  bson?: BSONSerializeOptions;
}

/**
 * Runs one command on the collection with this UUID, and on no other. `command` is the command as MongoDB takes it; the
 * fence and the write concern are added here. The driver's CRUD helpers drop `collectionUUID` without a word, so every
 * access to tenant data goes through this function.
 *
 * A fenced write that misses answers `ok: 1` with `writeErrors`, which `db.command` lets pass: it is checked here.
 *
 * @throws FenceMissError when the name belongs to another collection or to none
 */
export async function runFenced(
  db: Db,
  uuid: UUID,
  command: Document,
  options: FencedOptions,
): Promise<Document> {
  const { write, timeLimitMs, retryable } = options;
  const fenced = {
    ...command,
    collectionUUID: uuid,
    ...(write && { writeConcern: DURABLE }),
    ...(Number.isFinite(timeLimitMs) && { maxTimeMS: timeLimitMs }),
    ...(retryable && { txnNumber: Long.fromNumber(retryable.number) }),
  };
  try {
    const reply = await send(db, fenced, options);
    const miss = errorsIn(reply).find(isMiss);
    if (miss !== undefined)
      throw new FenceMissError(miss.actualCollection ?? null, Number(miss.index), reply);
    return reply;
  } catch (error) {
    throw fenceMiss(error) ?? withPlainCode(error);
  }
}

function send(db: Db, command: Document, options: FencedOptions): Promise<Document> {
  const { timeLimitMs, retryable, bson, session = retryable?.session } = options;
  const common = { ...bson, ...(session && { session }) };
  if (timeLimitMs === undefined) return db.command(command, { ...common, ...withinDeadline() });
  return whileAlive(db.client, timeLimitMs, (signal) => {
    // The driver honours it on every operation, although its types name it only for some.
    const limited: object = { ...common, signal };
    return db.command(command, limited);
  });
}

/** @returns the miss an error stands for, or undefined */
export function fenceMiss(error: unknown): FenceMissError | undefined {
  if (!(error instanceof MongoServerError) || !isMiss(error.errorResponse)) return undefined;
  return new FenceMissError(error.errorResponse.actualCollection ?? null);
}

/** Where documents are read with exact types, an error's code is an `Int32` as well: no comparison would ever hold. */
export function withPlainCode(error: unknown): unknown {
  if (error instanceof MongoServerError && error.code !== undefined)
    error.code = Number(error.code);
  return error;
}

function errorsIn(reply: Document): Document[] {
  return (reply.writeErrors ?? []) as Document[];
}

function isMiss(reply: Document): boolean {
  // Where documents are read with exact types, so are codes.
  return Number(reply.code) === COLLECTION_UUID_MISMATCH;
}
