/** Records and their bytes. */
export interface Amount {
  records: number;
  bytes: number;
}

interface UsageLedgerDeps {
  measure: () => Promise<Amount>;
  /** A monotonic clock, in milliseconds. */
  nowMs: () => number;
}

/**
 * What one organization uses: measured, and what this instance has added since. It never says less than there is of what
 * this instance wrote; what it says is too much at most by writes that are under way, or have failed since.
 */
export class UsageLedger {
  readonly #deps: UsageLedgerDeps;
  #measured: Amount = { records: 0, bytes: 0 };
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  /** Additions whose writes have ended and that no measurement includes for certain. */
  #ended: Amount = { records: 0, bytes: 0 };
  /** Additions whose writes are under way. */
  #open: Amount = { records: 0, bytes: 0 };
  #openWrites = 0;
  #onEnd: (() => void)[] = [];
  /** Numbers questions, so that an answer is known to be newer than one. */
  #asked = 0;
  #answered = 0;
  #flight: Promise<void> | undefined;

  constructor(deps: UsageLedgerDeps) {
    this.#deps = deps;
  }

  get total(): Amount {
    return plus(plus(this.#measured, this.#ended), this.#open);
  }

  get isWriting(): boolean {
    return this.#openWrites > 0;
  }

  /** Whether the total counts nothing twice: no write is under way, or has ended while the last measurement was made. */
  get isCertain(): boolean {
    return !this.isWriting && this.#ended.records === 0 && this.#ended.bytes === 0;
  }

  /** @returns once the measurement is at most so old */
  async refresh(maxAgeMs: number): Promise<void> {
    if (this.#deps.nowMs() - this.#measuredAtMs >= maxAgeMs) await this.measureAnew();
  }

  /** @returns once there is a measurement that was begun after the call */
  async measureAnew(): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    while (this.#answered < asked) {
      this.#flight ??= this.#measure().finally(() => {
        this.#flight = undefined;
      });
      await this.#flight;
    }
  }

  /** Counts a write before it is made. @returns what to call when it has ended, however it did */
  begin(adding: Amount): () => void {
    this.#open = plus(this.#open, adding);
    this.#openWrites += 1;
    return () => {
      this.#open = minus(this.#open, adding);
      this.#ended = plus(this.#ended, adding);
      this.#openWrites -= 1;
      for (const tell of this.#onEnd.splice(0)) tell();
    };
  }

  /** @returns once a write that is under way has ended */
  async writeEnd(): Promise<void> {
    if (this.isWriting) await new Promise<void>((resolve) => this.#onEnd.push(resolve));
  }

  async #measure(): Promise<void> {
    const upTo = this.#asked;
    const included = this.#ended;
    const startedAtMs = this.#deps.nowMs();
    this.#measured = await this.#deps.measure();
    this.#measuredAtMs = startedAtMs;
    // What ended before the measurement began is part of it.
    this.#ended = minus(this.#ended, included);
    this.#answered = upTo;
  }
}

function plus(one: Amount, other: Amount): Amount {
  return { records: one.records + other.records, bytes: one.bytes + other.bytes };
}

function minus(one: Amount, other: Amount): Amount {
  return { records: one.records - other.records, bytes: one.bytes - other.bytes };
}
