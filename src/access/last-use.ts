import type { ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';

/** Writes down when things were last used, all at once. */
export type RecordLastUse = (uses: readonly { id: ObjectId; at: Date }[]) => Promise<void>;

/**
 * Remembers in memory when sessions or keys were used, to be written down from time to time: last use is shown to people,
 * who need no second's precision, and a write for every request would cost more than the request. A crash loses the last
 * interval.
 */
export class LastUse {
  readonly #clock: Clock;
  readonly #record: RecordLastUse;
  #pending = new Map<string, { id: ObjectId; at: Date }>();

  constructor(deps: { clock: Clock; record: RecordLastUse }) {
    this.#clock = deps.clock;
    this.#record = deps.record;
  }

  touch(id: ObjectId): void {
    this.#pending.set(id.toHexString(), { id, at: this.#clock.now() });
  }

  /** Writes down what has been used since the last time. @throws what recording throws; nothing is lost then */
  async flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    const flushing = this.#pending;
    this.#pending = new Map();
    try {
      await this.#record([...flushing.values()]);
    } catch (error) {
      this.#pending = new Map([...flushing, ...this.#pending]);
      throw error;
    }
  }
}
