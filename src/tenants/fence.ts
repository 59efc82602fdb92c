import { type Db, type Document, MongoServerError, type UUID } from 'mongodb';
import { withinDeadline } from '../database/deadline.ts';
import { DURABLE } from '../database/mongo-client.ts';

/** `CollectionUUIDMismatch`: the name no longer belongs to the collection that was meant. */
const COLLECTION_UUID_MISMATCH = 361;

/**
 * The collection that was meant is not at the name that was used. Nothing was created, and nothing read or written but for
 * the first {@link done} documents of an ordered insert: a rename may come in between.
 *
 * @see https://www.mongodb.com/docs/manual/reference/command/insert/ (collectionUUID)
 */
export class FenceMissError extends Error {
  /** Where the collection is now, or null when it no longer exists. */
  readonly actual: string | null;
  /** How many documents of an ordered insert were stored before the miss. */
  readonly done: number;

  constructor(actual: string | null, done = 0) {
    super(actual === null ? 'the collection was dropped' : `the collection is now ${actual}`);
    this.name = 'FenceMissError';
    this.actual = actual;
    this.done = done;
  }
}

/** How a fenced command is run. */
export interface FencedOptions {
  /** Asks for durability; for every command that changes something. */
  write: boolean;
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
  const fenced = {
    ...command,
    collectionUUID: uuid,
    ...(options.write ? { writeConcern: DURABLE } : {}),
  };
  try {
    const reply = await db.command(fenced, withinDeadline());
    const miss = (reply.writeErrors as Document[] | undefined)?.find(isMiss);
    if (miss !== undefined) throw new FenceMissError(miss.actualCollection ?? null, miss.index);
    return reply;
  } catch (error) {
    throw fenceMiss(error) ?? error;
  }
}

/** @returns the miss an error stands for, or undefined */
export function fenceMiss(error: unknown): FenceMissError | undefined {
  if (!(error instanceof MongoServerError) || !isMiss(error.errorResponse)) return undefined;
  return new FenceMissError(error.errorResponse.actualCollection ?? null);
}

function isMiss(reply: Document): boolean {
  return reply.code === COLLECTION_UUID_MISMATCH;
}
