import { type MongoClient, MongoServerError } from 'mongodb';
import { isDatabaseUnavailable } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { Stopping } from '../stopping.ts';

/** One thing that has to be so before requests are served. */
export interface ReadinessCheck {
  ok: boolean;
  reason?: string;
}

/** Knows whether this instance can serve requests. */
export class Readiness {
  readonly #client: MongoClient;
  readonly #stopping: Stopping;
  #indexes: ReadinessCheck = { ok: false, reason: 'not built yet' };
  #recovery: ReadinessCheck = { ok: false, reason: 'not run yet' };

  constructor(deps: { client: MongoClient; stopping: Stopping }) {
    this.#client = deps.client;
    this.#stopping = deps.stopping;
  }

  indexesBuilt(): void {
    this.#indexes = { ok: true };
  }

  recovered(): void {
    this.#recovery = { ok: true };
  }

  /** Asks the database; answers within its deadline, also when it hangs. */
  async check(): Promise<Record<'database' | 'indexes' | 'recovery' | 'running', ReadinessCheck>> {
    const database = await this.#ping();
    const running = this.#stopping.begun ? { ok: false, reason: 'stopping' } : { ok: true };
    return { database, indexes: this.#indexes, recovery: this.#recovery, running };
  }

  async #ping(): Promise<ReadinessCheck> {
    try {
      await this.#client.db('admin').command({ ping: 1 }, withinDeadline());
      return { ok: true };
    } catch (error) {
      // Said by the server, rather than in place of it: it cannot be used as it is, so waiting will not help.
      const refused = error instanceof MongoServerError && !isDatabaseUnavailable(error);
      return { ok: false, reason: refused ? 'refuses what it is asked' : 'does not answer' };
    }
  }
}
