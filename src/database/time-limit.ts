import type { MongoClient } from 'mongodb';
import { withinDeadline } from './deadline.ts';

/** How often a database that has not answered a long command yet is asked whether it is there. */
const PULSE_INTERVAL_MS = 1_000;
/** What it has for that answer: together with the interval less than the 3 s within which a 503 is promised. */
const PULSE_LIMIT_MS = 1_250;
/** The server ends the command by itself; its answer takes a moment. */
const GRACE_MS = 1_500;

/** The long commands under way on one client, and what watches over them. */
class Pulse {
  readonly #client: MongoClient;
  readonly #waiting = new Set<AbortController>();
  #timer: NodeJS.Timeout | undefined;

  constructor(client: MongoClient) {
    this.#client = client;
  }

  add(controller: AbortController): void {
    this.#waiting.add(controller);
    this.#schedule();
  }

  delete(controller: AbortController): void {
    this.#waiting.delete(controller);
    if (this.#waiting.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => void this.#feel(), PULSE_INTERVAL_MS).unref();
  }

  async #feel(): Promise<void> {
    // A command that is sent only now has its own second.
    const asked = [...this.#waiting];
    const signal = AbortSignal.timeout(PULSE_LIMIT_MS);
    try {
      await this.#client.db('admin').command({ ping: 1 }, { signal } as object);
    } catch (error) {
      for (const controller of asked) controller.abort(error);
    }
    this.#timer = undefined;
    if (this.#waiting.size > 0) this.#schedule();
  }
}

const pulses = new WeakMap<MongoClient, Pulse>();

/**
 * Runs a command that may take longer than a caller waits for a database that is away. As long as it has no answer, the
 * database is asked once a second whether it is there; if it is not, the command is given up, well within 3 s.
 *
 * @param limitMs - what the command was given as `maxTimeMS`; `Infinity` for one that may take as long as it takes
 * @param command - is handed the signal that ends it
 * @throws whatever ends it: an error for which `isDatabaseUnavailable` holds when the database is away
 */
export async function whileAlive<T>(
  client: MongoClient,
  limitMs: number,
  command: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // The driver does not look whether a signal has been aborted already.
  withinDeadline();
  const pulse = pulseOf(client);
  const controller = new AbortController();
  const silent = () => controller.abort(new DOMException('the database is silent', 'TimeoutError'));
  const limit = limitMs === Infinity ? undefined : setTimeout(silent, limitMs + GRACE_MS);
  pulse.add(controller);
  try {
    return await command(controller.signal);
  } finally {
    clearTimeout(limit);
    pulse.delete(controller);
  }
}

function pulseOf(client: MongoClient): Pulse {
  const known = pulses.get(client);
  if (known !== undefined) return known;
  const pulse = new Pulse(client);
  pulses.set(client, pulse);
  return pulse;
}
