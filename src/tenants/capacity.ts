import type { MongoClient } from 'mongodb';
import type { Clock } from '../clock.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { AppError } from '../errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';

/** How long a count is good for. Creations in between are added to it. */
const COUNT_TTL_MS = 1_000;

/** The database can take no more organizations. */
export class CapacityReachedError extends AppError {
  constructor() {
    super(
      'unavailable',
      'capacity_reached',
      'This installation can hold no more organizations at present.',
      { retryAfter: 3_600 },
    );
  }
}

/** One collection's place in the budget, from before it is made until it is there, or will not be. */
export interface Place extends Disposable {}

/**
 * Keeps sign-ups from killing the database: every collection costs MongoDB open files and memory, and past its limit it
 * aborts without an error to anyone (measured on 6.0.5: at about 9,900 collections under `ulimit -n 20000`).
 *
 * One instance never goes past the limit, however many sign-ups arrive at once; it may refuse a little early, by those
 * under way. Several instances do not see each other's until the next count: together they may go past it by what the others
 * create within a second, for which the default limit leaves room.
 */
export class CollectionBudget {
  readonly #deps: { client: MongoClient; registry: RegistryStore; clock: Clock; limit: number };
  /** Places taken that the last count may have missed. */
  readonly #uncounted = new Set<Place>();
  /** Places given back since the last count: their collections are in the next one, if they exist. */
  readonly #ended = new Set<Place>();
  #counted = 0;
  #countedAt = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(deps: { client: MongoClient; registry: RegistryStore; clock: Clock; limit: number }) {
    this.#deps = deps;
  }

  /**
   * Takes a place for one collection. Dispose of it when the collection has been made, or when it will not be.
   *
   * @throws CapacityReachedError, DatabaseUnavailableError
   */
  async take(): Promise<Place> {
    await this.#recountIfOld();
    if (this.#counted + this.#uncounted.size >= this.#deps.limit) throw new CapacityReachedError();
    const place: Place = { [Symbol.dispose]: () => void this.#ended.add(place) };
    this.#uncounted.add(place);
    return place;
  }

  /** How much of the budget is used, as of the last second. @throws DatabaseUnavailableError */
  async usage(): Promise<{ used: number; limit: number }> {
    await this.#recountIfOld();
    return { used: this.#counted + this.#uncounted.size, limit: this.#deps.limit };
  }

  /** Counts once for all who wait for it. */
  #recount(): Promise<void> {
    this.#counting ??= this.#refresh().finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #recountIfOld(): Promise<void> {
    const age = this.#deps.clock.now().getTime() - this.#countedAt;
    if (age > COUNT_TTL_MS) await this.#recount();
  }

  async #refresh(): Promise<void> {
    // What ended before the count began is in it; what is under way may or may not be.
    const before = [...this.#ended];
    const counted = await this.#count();
    for (const place of before) {
      this.#ended.delete(place);
      this.#uncounted.delete(place);
    }
    this.#counted = counted;
    this.#countedAt = this.#deps.clock.now().getTime();
  }

  /** Collections of the whole server, from its own catalogue; without the right to ask, those of organizations. */
  async #count(): Promise<number> {
    try {
      const sections = {
        repl: 0,
        metrics: 0,
        locks: 0,
        wiredTiger: 0,
        tcmalloc: 0,
        transactions: 0,
      };
      const admin = this.#deps.client.db('admin');
      const status = await retryTransient(() =>
        admin.command({ serverStatus: 1, ...sections }, withinDeadline()),
      );
      const collections: unknown = status.catalogStats?.collections;
      if (typeof collections === 'number') return collections;
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
    }
    return this.#deps.registry.count();
  }
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof Error && 'codeName' in error && error.codeName === 'Unauthorized';
}
