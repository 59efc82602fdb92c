import { AsyncLocalStorage } from 'node:async_hooks';
import PQueue from 'p-queue';

/** So much is done at once about one subject by this instance. */
const AT_ONCE = 2;

/**
 * Lets little be done at once about one subject; the rest waits its turn. So ten people, or programs, who sign in to one
 * account with the right password in the same instant are not taken for ten guesses under way.
 */
export class Turns {
  readonly #queues = new Map<string, { queue: PQueue; users: number }>();
  readonly #maxWaiting: number;
  readonly #tooMany: () => Error;

  /** @param deps - how many may wait about one subject, and what the next one is told */
  constructor(deps: { maxWaiting: number; tooMany: () => Error }) {
    this.#maxWaiting = deps.maxWaiting;
    this.#tooMany = deps.tooMany;
  }

  /** How many subjects something is done about now. */
  get subjects(): number {
    return this.#queues.size;
  }

  async run<T>(subject: string, work: () => Promise<T>): Promise<T> {
    const entry = this.#queues.get(subject) ?? {
      queue: new PQueue({ concurrency: AT_ONCE }),
      users: 0,
    };
    if (entry.queue.size >= this.#maxWaiting) throw this.#tooMany();
    this.#queues.set(subject, entry);
    entry.users += 1;
    try {
      // What one request began must not go on in the context of another, which has a patience of its own.
      return await entry.queue.add(AsyncLocalStorage.bind(work));
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#queues.delete(subject);
    }
  }
}
