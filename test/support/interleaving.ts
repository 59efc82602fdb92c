import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import type { Scheduler } from 'fast-check';
import type { AroundCall } from './intercepted-client.ts';

/** One of several operations that run side by side. */
interface Strand {
  name: string;
  /** Replies of the database that it has not been given yet. */
  waiting: number;
  ended: boolean;
}

/**
 * Runs operations side by side, one call to the database at a time: after each, the scheduler decides who is given a reply
 * next. So a property explores the interleavings of instances, and finds the same one again.
 */
export class Interleaving {
  readonly #scheduler: Scheduler;
  readonly #current = new AsyncLocalStorage<Strand>();
  #changed = Promise.withResolvers<void>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** For the clients of the instances. Calls of nobody's operation pass. */
  readonly around: AroundCall = async (call, method) => {
    const strand = this.#current.getStore();
    const [outcome] = await Promise.allSettled([call()]);
    if (strand !== undefined) await this.#turn(strand, method);
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  };

  /** @returns the results, when all have ended */
  readonly run = async <T>(
    operations: Readonly<Record<string, () => Promise<T>>>,
  ): Promise<T[]> => {
    const strands: Strand[] = [];
    const results = Object.entries(operations).map(([name, operation]) => {
      const strand = { name, waiting: 0, ended: false };
      strands.push(strand);
      return this.#current.run(strand, () => this.#runStrand(strand, operation));
    });
    for (;;) {
      // Whoever was given a reply has now made the next call, or is doing something else.
      await setImmediate();
      while (strands.some(({ ended, waiting }) => !ended && waiting === 0)) {
        await this.#changed.promise;
        this.#changed = Promise.withResolvers();
      }
      if (strands.every(({ ended }) => ended)) return Promise.all(results);
      await this.#scheduler.waitNext(1);
    }
  };

  async #runStrand<T>(strand: Strand, operation: () => Promise<T>): Promise<T> {
    await this.#turn(strand, 'start');
    try {
      return await operation();
    } finally {
      strand.ended = true;
      this.#changed.resolve();
    }
  }

  async #turn(strand: Strand, step: string): Promise<void> {
    strand.waiting += 1;
    this.#changed.resolve();
    await this.#scheduler.schedule(Promise.resolve(), `${strand.name}: ${step}`);
    strand.waiting -= 1;
  }
}
