import { type Document, type MongoClient, MongoServerError, ObjectId } from 'mongodb';
import { retryTransient } from '../database/database-errors.ts';
import type { CollectionReference } from '../registry/organization-document.ts';
import { OrganizationBusyError, OrganizationNotFoundError } from '../registry/registry-errors.ts';
import { FenceMissError, runFenced } from './fence.ts';

const DUPLICATE_KEY = 11000;
/** A rename or drop ends the queries that are under way on the collection. */
const QUERY_PLAN_KILLED = 175;
/** Renames that may overtake a command, without its getting anywhere, before it gives up. */
const MAX_MOVES = 10;

/** How a command reaches the server. Only drills replace it, to show that without the fence they fail. */
export type CommandRunner = typeof runFenced;

/**
 * One organization's data. Every command carries the collection's UUID, so it reaches this collection or none: it follows
 * a rename by itself, finds nothing after a delete, and never touches the organization that took the name since.
 *
 * Goes through `db.command`, because the driver's own helpers drop the fence; so what they retry is retried here, in ways
 * that cannot do a thing twice.
 */
export class TenantCollection {
  readonly #client: MongoClient;
  readonly #run: CommandRunner;
  #reference: CollectionReference;

  constructor(client: MongoClient, reference: CollectionReference, run: CommandRunner = runFenced) {
    this.#client = client;
    this.#reference = reference;
    this.#run = run;
  }

  /** The name under which the collection was last reached. */
  get name(): string {
    return this.#reference.name;
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
    const made = new Set<number>();
    const withIds = documents.map((document, index) => {
      if (document._id !== undefined) return document;
      made.add(index);
      return { ...document, _id: new ObjectId() };
    });
    let from = 0;
    let repeated = false;
    while (from < withIds.length) {
      const reply = await this.#command(
        (name) => ({ insert: name, documents: withIds.slice(from) }),
        {
          write: true,
          onRepeat: () => {
            repeated = true;
          },
          onMove: (done) => {
            from += done;
          },
        },
      );
      const [failure] = (reply.writeErrors ?? []) as WriteError[];
      if (failure === undefined) return;
      const index = from + failure.index;
      const duplicate = repeated && failure.code === DUPLICATE_KEY;
      const own = duplicate && (made.has(index) || (await this.#holds(withIds[index])));
      if (!own) throw new MongoServerError({ message: failure.errmsg, ...failure });
      from = index + 1;
    }
  }

  /** @returns the documents that match, at most `limit`; @throws OrganizationNotFoundError, DatabaseUnavailableError */
  async find(filter: Document, limit: number): Promise<Document[]> {
    const reply = await this.#command(
      (name) => ({ find: name, filter, limit, batchSize: limit, singleBatch: true }),
      { write: false },
    );
    return reply.cursor.firstBatch;
  }

  /** @returns how many documents match; @throws OrganizationNotFoundError, DatabaseUnavailableError */
  async count(filter: Document = {}): Promise<number> {
    const pipeline = [{ $match: filter }, { $count: 'n' }];
    const reply = await this.#command((name) => ({ aggregate: name, pipeline, cursor: {} }), {
      write: false,
    });
    return reply.cursor.firstBatch[0]?.n ?? 0;
  }

  /** Whether this very document is stored. The server compares, by its own rules of equality, and puts `_id` first. */
  async #holds(document: Document | undefined): Promise<boolean> {
    const { _id, ...fields } = document ?? {};
    const same = { $eq: ['$$ROOT', { $literal: { _id, ...fields } }] };
    return (await this.count({ _id: { $eq: _id }, $expr: same })) === 1;
  }

  async #command(build: (name: string) => Document, options: CommandOptions): Promise<Document> {
    for (let moves = 0; ; ) {
      try {
        return await this.#attempt(build, options);
      } catch (error) {
        const miss = missOf(error, options);
        if (miss === undefined) throw error;
        if (miss.actual === null) throw new OrganizationNotFoundError();
        if (moves === MAX_MOVES) throw new OrganizationBusyError();
        options.onMove?.(miss.done);
        moves = miss.done > 0 ? 0 : moves + 1;
        this.#reference = { ...this.#reference, name: miss.actual ?? this.#reference.name };
      }
    }
  }

  #attempt(build: (name: string) => Document, { write, onRepeat }: CommandOptions) {
    const { database, name, uuid } = this.#reference;
    let attempts = 0;
    return retryTransient(() => {
      if (attempts > 0) onRepeat?.();
      attempts += 1;
      return this.#run(this.#client.db(database), uuid, build(name), { write });
    });
  }
}

/** What there is to follow: the collection is somewhere else, or was taken away while it was being read. */
function missOf(error: unknown, { write }: CommandOptions): Miss | undefined {
  if (error instanceof FenceMissError) return error;
  const killed = error instanceof MongoServerError && error.code === QUERY_PLAN_KILLED;
  return killed && !write ? { actual: undefined, done: 0 } : undefined;
}

interface Miss {
  /** Undefined when only another attempt can tell. */
  actual: string | null | undefined;
  done: number;
}

interface CommandOptions {
  write: boolean;
  /** Called before a repetition after a lost answer: the first attempt may have taken place. */
  onRepeat?: () => void;
  /** Called before the command is sent to where the collection is now, with what was done of it before. */
  onMove?: (done: number) => void;
}

interface WriteError {
  index: number;
  code: number;
  errmsg: string;
}
