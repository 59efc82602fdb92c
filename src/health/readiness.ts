import type { MongoClient } from 'mongodb';
import { withinDeadline } from '../database/deadline.ts';

/** One thing that has to be so before requests are served. */
export interface ReadinessCheck {
  ok: boolean;
  reason?: string;
}

/** Knows whether this instance can serve requests. */
export class Readiness {
  readonly #client: MongoClient;
  #indexes: ReadinessCheck = { ok: false, reason: 'not built yet' };
  #recovery: ReadinessCheck = { ok: false, reason: 'not run yet' };

  constructor(deps: { client: MongoClient }) {
    this.#client = deps.client;
  }

  indexesBuilt(): void {
    this.#indexes = { ok: true };
  }

  recovered(): void {
    this.#recovery = { ok: true };
  }

  /** Asks the database; answers within its deadline, also when it hangs. */
  async check(): Promise<Record<'database' | 'indexes' | 'recovery', ReadinessCheck>> {
    return { database: await this.#ping(), indexes: this.#indexes, recovery: this.#recovery };
  }

  async #ping(): Promise<ReadinessCheck> {
    try {
      await this.#client.db('admin').command({ ping: 1 }, withinDeadline());
      return { ok: true };
    } catch {
      return { ok: false, reason: 'does not answer' };
    }
  }
}
