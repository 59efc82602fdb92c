import type { AggregateOptions, Document } from 'mongodb';
import type { FencedCommands } from '../tenants/fenced-commands.ts';
import { DEFAULT_TIME_LIMIT_MS } from './find-cursor.ts';
import { RecordCursor } from './record-cursor.ts';

/** The options of an aggregation that are honoured. */
export type AggregateRecordsOptions = Pick<AggregateOptions, (typeof AGGREGATE_OPTIONS)[number]>;
export const AGGREGATE_OPTIONS = [
  ...(['batchSize', 'maxTimeMS', 'allowDiskUse', 'hint', 'collation', 'comment', 'let'] as const),
] as const;

/** What an aggregation gives, as the driver's `AggregationCursor` gives it. */
export class RecordsAggregationCursor<T> extends RecordCursor<T> {
  readonly #commands: FencedCommands;
  readonly #pipeline: readonly Document[];
  readonly #options: Document;
  #batchSize: number | undefined;
  #timeLimitMs: number;

  /** @param pipeline - has been found to stay within the collection */
  constructor(
    commands: FencedCommands,
    pipeline: readonly Document[],
    { batchSize, maxTimeMS = DEFAULT_TIME_LIMIT_MS, ...options }: AggregateRecordsOptions,
  ) {
    super();
    this.#commands = commands;
    this.#pipeline = pipeline;
    this.#options = options;
    this.#batchSize = batchSize;
    this.#timeLimitMs = maxTimeMS;
  }

  batchSize(batchSize: number): this {
    this.assertUnused();
    this.#batchSize = batchSize;
    return this;
  }

  maxTimeMS(milliseconds: number): this {
    this.assertUnused();
    this.#timeLimitMs = milliseconds;
    return this;
  }

  map<U>(transform: (document: T) => U): RecordsAggregationCursor<U> {
    this.assertUnused();
    this.addTransform(transform as (document: never) => unknown);
    return this as unknown as RecordsAggregationCursor<U>;
  }

  protected open(): AsyncGenerator<Document[], void> {
    const size = this.#batchSize ? { batchSize: this.#batchSize } : {};
    return this.#commands.batches(
      (aggregate) => ({ aggregate, pipeline: this.#pipeline, cursor: size, ...this.#options }),
      { timeLimitMs: this.#timeLimitMs, ...size },
    );
  }
}
