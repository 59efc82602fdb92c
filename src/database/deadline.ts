import { AsyncLocalStorage } from 'node:async_hooks';
import type { Abortable, CommandOperationOptions } from 'mongodb';

/**
 * How long a request waits for a database that does not answer, in all. A database that hangs (measured: SIGSTOP) leaves
 * a plain insert waiting for 40 s; this way the caller gets a 503 to act on within 3 s. A planned step-down takes about one.
 */
export const PATIENCE_MS = 2_250;

/** How long the database has been silent towards one request, however many operations that took. */
class Silence {
  readonly #patienceMs: number;
  #since: number | undefined;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Runs one operation; whether its failure is an answer of the database or its silence is for `isSilence` to tell. */
  async during<T>(operation: () => Promise<T>, isSilence: (error: unknown) => boolean): Promise<T> {
    const startedAt = performance.now();
    this.#since ??= startedAt;
    try {
      const answer = await operation();
      this.#since = undefined;
      return answer;
    } catch (error) {
      this.#since = isSilence(error) ? (this.#since ?? startedAt) : undefined;
      throw error;
    }
  }

  get patienceLeftMs(): number {
    if (this.#since === undefined) return this.#patienceMs;
    return Math.max(0, Math.ceil(this.#since + this.#patienceMs - performance.now()));
  }
}

const current = new AsyncLocalStorage<Silence>();

/**
 * Has everything that `work` asks of the database share one patience: once it has run out, further operations, such as
 * those that would take back what was done before, fail at once instead of making the caller wait again.
 *
 * @param patienceMs - long work that nobody repeats lightly may wait for a fail-over
 */
export function sharingPatience<T>(work: () => T, patienceMs = PATIENCE_MS): T {
  return current.run(new Silence(patienceMs), work);
}

/** As {@link sharingPatience}, unless the caller shares one already. */
export function withPatience<T>(work: (silence: Silence) => Promise<T>): Promise<T> {
  const shared = current.getStore();
  if (shared !== undefined) return work(shared);
  const silence = new Silence(PATIENCE_MS);
  return current.run(silence, () => work(silence));
}

/**
 * Options that end a database operation when the patience with the database has run out. The driver honours `signal` on
 * every operation, although its types name it only for some; its `timeoutMS` has no effect since 7.x.
 *
 * @throws DOMException named TimeoutError when it has run out before. Nothing may be sent then; and the driver (7.9) listens for
 *   a signal's event without looking whether it has been aborted already, so an operation given such a signal never ends.
 */
export function withinDeadline(): CommandOperationOptions & Required<Abortable> {
  const milliseconds = current.getStore()?.patienceLeftMs ?? PATIENCE_MS;
  if (milliseconds === 0)
    throw new DOMException('the patience with the database had run out before', 'TimeoutError');
  return { signal: AbortSignal.timeout(milliseconds) };
}
