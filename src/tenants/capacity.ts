import type { MongoClient } from 'mongodb';
import type { Clock } from '../clock.ts';
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

/**
 * Keeps sign-ups from killing the database: every collection costs MongoDB open files and memory, and past its limit it
 * aborts without an error to anyone (measured on 6.0.5: at about 9,900 collections under `ulimit -n 20000`).
 */
export class CollectionBudget {
  readonly #deps: { client: MongoClient; registry: RegistryStore; clock: Clock; limit: number };
  #counted = 0;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: { client: MongoClient; registry: RegistryStore; clock: Clock; limit: number }) {
    this.#deps = deps;
  }

  /** Takes one collection out of the budget. @throws CapacityReachedError */
  async take(): Promise<void> {
    const { clock, limit } = this.#deps;
    const now = clock.now().getTime();
    if (now - this.#countedAt > COUNT_TTL_MS) {
      this.#counted = await this.#count();
      this.#countedAt = now;
    }
    if (this.#counted >= limit) throw new CapacityReachedError();
    this.#counted += 1;
  }

  /** Collections of the whole server, from its own catalogue; without the right to ask, those of organizations. */
  async #count(): Promise<number> {
    try {
      const status = await this.#deps.client.db('admin').command(
        {
          serverStatus: 1,
          ...{ repl: 0, metrics: 0, locks: 0, wiredTiger: 0, tcmalloc: 0, transactions: 0 },
        },
        withinDeadline(),
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
