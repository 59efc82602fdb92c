import { setTimeout as delay } from 'node:timers/promises';
import {
  type ChangeStream,
  type ChangeStreamDocument,
  type Db,
  MongoServerError,
  type ObjectId,
} from 'mongodb';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logging/logger.ts';

/** How long the server holds a question about changes open. Short beside the second within which they have to be known. */
const AWAIT_MS = 250;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

/** `$changeStream` on a standalone server. */
const NOT_A_REPLICA_SET = 40573;

interface MasterChangesDeps {
  master: Db;
  /** The collections to watch, by name. */
  collections: readonly string[];
  /** Fields whose change is not worth telling. */
  unimportant: readonly string[];
  /** Told of documents that were changed or removed. */
  onChange: (ids: readonly ObjectId[]) => void;
  /** Changes may have been missed before this moment. */
  onGap: () => void;
  clock: Clock;
  logger: Logger;
}

/**
 * Tells of every document of the master database that any instance changed or removed, with a change stream. On a
 * standalone server there is none: then nothing is ever told, and {@link seenUntilMs} stays at `-Infinity`.
 *
 * @see https://www.mongodb.com/docs/manual/changeStreams/
 */
export class MasterChanges implements AsyncDisposable {
  readonly #deps: MasterChangesDeps;
  readonly #stopping = new AbortController();
  #stream: ChangeStream | undefined;
  #seenUntilMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: MasterChangesDeps) {
    this.#deps = deps;
  }

  /** Every change acknowledged before this moment ({@link Clock.monotonicMs}) has been told, since the last gap. */
  get seenUntilMs(): number {
    return this.#seenUntilMs;
  }

  start(): void {
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#stream?.close();
    await this.#running;
  }

  /** What the driver cannot resume by itself is begun anew, with a gap. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; ) {
      const before = this.#seenUntilMs;
      try {
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof MongoServerError && error.code === NOT_A_REPLICA_SET) return;
        if (this.#seenUntilMs > before) pauseMs = FIRST_PAUSE_MS;
        this.#deps.logger.warn({ err: error }, 'watching for changes failed; will try again');
        await delay(pauseMs, undefined, { ref: false, signal }).catch(() => {});
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      } finally {
        await this.#stream?.close();
      }
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { master, collections, clock, onGap } = this.#deps;
    const stream = master.watch([{ $match: { 'ns.coll': { $in: [...collections] } } }], {
      maxAwaitTimeMS: AWAIT_MS,
    });
    this.#stream = stream;
    for (let open = false; !signal.aborted; open = true) {
      const askedAt = clock.monotonicMs();
      const change = await stream.tryNext();
      // The first answer opens the stream: what was read before it may have changed unseen.
      if (!open) onGap();
      if (change !== null) this.#tell(change);
      // Nothing came, so there was nothing up to the moment of asking.
      else if (open) this.#seenUntilMs = askedAt;
    }
  }

  #tell(change: ChangeStreamDocument): void {
    const { unimportant, onChange, onGap } = this.#deps;
    if (change.operationType === 'insert') return;
    // The collection itself was dropped or renamed: everything in it changed.
    if (!('documentKey' in change) || change.documentKey === undefined) {
      onGap();
      return;
    }
    if (change.operationType === 'update') {
      const { updatedFields = {}, removedFields = [] } = change.updateDescription;
      const fields = [...Object.keys(updatedFields), ...(removedFields ?? [])];
      // None are named when an array only got shorter.
      if (fields.length > 0 && fields.every((field) => unimportant.includes(field))) return;
    }
    onChange([change.documentKey._id]);
  }
}
