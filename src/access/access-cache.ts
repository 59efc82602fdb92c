import type { ObjectId } from 'mongodb';
import QuickLRU from 'quick-lru';
import type { Clock } from '../clock.ts';

/** An answer that was true this long ago may still be given. Below the second that is promised, with room to answer in. */
export const MAX_AGE_MS = 900;
const MAX_ENTRIES = 20_000;

/** What was looked up, and the documents it was made of: when one of them changes, it has to be looked up again. */
export interface Lookup<T> {
  value: T;
  /** Null: it must not be remembered, because something it was made of is not there to change. */
  dependsOn: readonly ObjectId[] | null;
}

interface Entry<T> {
  value: T;
  dependsOn: readonly string[];
  loadedAt: number;
}

interface Flight<T> {
  epoch: number;
  startedAt: number;
  result: Promise<T>;
}

/** How much a cache is of use: look-ups since the beginning, by how they were answered, and what it holds. */
export interface CacheUse {
  readonly hits: number;
  /** Together with another one under way. */
  readonly shared: number;
  readonly misses: number;
  readonly size: number;
}

/** Says how far this instance has seen every change that any instance made. */
export interface ChangeHorizon {
  /**
   * Every change before this moment ({@link Clock.monotonicMs}) has been passed to {@link AccessCache.invalidate}, since
   * the last {@link AccessCache.clear}; `-Infinity` while nothing is known.
   */
  readonly seenUntilMs: number;
}

/**
 * Remembers who may do what, for at most {@link MAX_AGE_MS} after it was last known to be true: either because it was
 * read then, or because it has been read and every change until then was seen and left it alone.
 *
 * Bounded; a concurrent look-up of the same key is made once.
 */
export class AccessCache<T> {
  readonly #clock: Clock;
  readonly #horizon: ChangeHorizon;
  readonly #entries: QuickLRU<string, Entry<T>>;
  readonly #dependents = new Map<string, Set<string>>();
  readonly #flights = new Map<string, Flight<T>>();
  /** Counts invalidations: what was read before one may be out of date after it. */
  #epoch = 0;
  #hits = 0;
  #shared = 0;
  #misses = 0;

  constructor(deps: { clock: Clock; horizon: ChangeHorizon; maxEntries?: number }) {
    this.#clock = deps.clock;
    this.#horizon = deps.horizon;
    this.#entries = new QuickLRU({
      maxSize: deps.maxEntries ?? MAX_ENTRIES,
      onEviction: (key, entry) => this.#unlink(key, entry),
    });
  }

  /** @param load - reads it; what it throws is not remembered */
  async get(key: string, load: () => Promise<Lookup<T>>): Promise<T> {
    const now = this.#clock.monotonicMs();
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      if (now - Math.max(entry.loadedAt, this.#horizon.seenUntilMs) < MAX_AGE_MS) {
        this.#hits += 1;
        return entry.value;
      }
      this.#remove(key, entry);
    }
    const flying = this.#flights.get(key);
    if (flying?.epoch === this.#epoch && now - flying.startedAt < MAX_AGE_MS) {
      this.#shared += 1;
      return flying.result;
    }
    this.#misses += 1;
    return this.#load(key, load, now);
  }

  get use(): CacheUse {
    const [hits, shared, misses] = [this.#hits, this.#shared, this.#misses];
    return { hits, shared, misses, size: this.#entries.size };
  }

  /** Forgets everything that was made of one of these documents. To be called after the change, never before. */
  invalidate(ids: readonly ObjectId[]): void {
    this.#epoch += 1;
    for (const id of ids) {
      for (const key of this.#dependents.get(id.toHexString()) ?? []) {
        const entry = this.#entries.peek(key);
        if (entry !== undefined) this.#remove(key, entry);
      }
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#epoch += 1;
    this.#entries.clear();
    this.#dependents.clear();
  }

  async #load(key: string, load: () => Promise<Lookup<T>>, startedAt: number): Promise<T> {
    const epoch = this.#epoch;
    const result = load().then(({ value, dependsOn }) => {
      if (epoch === this.#epoch && dependsOn !== null)
        this.#keep(key, { value, dependsOn: dependsOn.map(hex) }, startedAt);
      return value;
    });
    const flight = { epoch, startedAt, result };
    this.#flights.set(key, flight);
    try {
      return await result;
    } finally {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    }
  }

  #keep(key: string, made: Omit<Entry<T>, 'loadedAt'>, loadedAt: number): void {
    const before = this.#entries.peek(key);
    if (before !== undefined) this.#remove(key, before);
    this.#entries.set(key, { ...made, loadedAt });
    for (const id of made.dependsOn) {
      const keys = this.#dependents.get(id) ?? new Set();
      this.#dependents.set(id, keys.add(key));
    }
  }

  #remove(key: string, entry: Entry<T>): void {
    this.#entries.delete(key);
    this.#unlink(key, entry);
  }

  #unlink(key: string, { dependsOn }: Entry<T>): void {
    for (const id of dependsOn) {
      const keys = this.#dependents.get(id);
      keys?.delete(key);
      if (keys?.size === 0) this.#dependents.delete(id);
    }
  }
}

function hex(id: ObjectId): string {
  return id.toHexString();
}
