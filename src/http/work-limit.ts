/** What a {@link WorkLimit} goes by. */
export interface WorkLimitOptions {
  /** Never more at a time than this. Zero: no limit at all. */
  most: number;
  /** How long a request may take when there are always others; see {@link WorkLimit}. */
  targetMs: number;
  /** So many may be under way however slow they are. */
  least: number;
  /** For so long more may be under way than can be done in time: a burst, not a queue that stays. */
  burstMs: number;
  /** Milliseconds of a clock that never goes back. */
  now: () => number;
  /** Requests that wait in a queue with a bound of its own. */
  waitingElsewhere: () => number;
}

/** So often it is counted how many end in a second. */
const WINDOW_MS = 250;

/**
 * Says how many requests may be worked on. By Little's law a request takes, on average, as long as the number of those under
 * way divided by the rate at which they end: so when more are under way than end within the target, and it stays like that,
 * everybody waits longer than that. No more are taken then than end within the target. With a fixed number alone, the wait
 * would be many times as long on a machine, or with a database, that is slow at present. The idea is CoDel's (RFC 8289): short
 * queues are good, standing queues are not.
 */
export class WorkLimit {
  readonly #options: WorkLimitOptions;
  #underWay = 0;
  #ended = 0;
  #windowFrom: number;
  #ratePerMs = 0;
  #inTimeAt: number;

  constructor(options: WorkLimitOptions) {
    this.#options = options;
    this.#windowFrom = options.now();
    this.#inTimeAt = options.now();
  }

  get underWay(): number {
    return this.#underWay;
  }

  begin(): void {
    this.#underWay += 1;
  }

  end(): void {
    this.#underWay -= 1;
    this.#ended += 1;
  }

  /** Whether one more may begin. */
  allows(): boolean {
    const { most, targetMs, least, burstMs, now, waitingElsewhere } = this.#options;
    if (most === 0) return true;
    const at = now();
    this.#measure(at);
    const working = this.#underWay - waitingElsewhere();
    const inTime = Math.min(most, Math.max(least, this.#ratePerMs * targetMs));
    // A queue that is still half there has not gone: the next burst would come on top of it.
    if (working < inTime / 2) this.#inTimeAt = at;
    if (working < inTime) return true;
    return working < most && at - this.#inTimeAt <= burstMs;
  }

  #measure(at: number): void {
    const passed = at - this.#windowFrom;
    if (passed < WINDOW_MS) return;
    this.#ratePerMs = this.#ended / passed;
    this.#ended = 0;
    this.#windowFrom = at;
  }
}
