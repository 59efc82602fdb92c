import {
  type BulkWriteResult,
  MongoBulkWriteError,
  MongoServerError,
  type WriteError,
} from 'mongodb';
import type { WriteFailure } from '../tenants/tenant-collection.ts';
import { UpdateInterruptedError } from './library-errors.ts';

/** A rename or drop ends what is under way on the collection. */
const QUERY_PLAN_KILLED = 175;

/** What several writes did, as the driver's `BulkWriteResult` tells it, whose class cannot be made from outside. */
export class BulkCounts {
  insertedCount = 0;
  matchedCount = 0;
  modifiedCount = 0;
  deletedCount = 0;
  upsertedCount = 0;
  readonly insertedIds: Record<number, unknown> = {};
  readonly upsertedIds: Record<number, unknown> = {};
  readonly ok = 1;
  readonly #failures: WriteFailure[] = [];

  /** @param failures - by the indexes of the operations */
  addFailures(failures: readonly WriteFailure[]): void {
    this.#failures.push(...failures);
  }

  get failures(): readonly WriteFailure[] {
    return this.#failures.toSorted((one, other) => one.index - other.index);
  }

  isOk(): boolean {
    return true;
  }

  hasWriteErrors(): boolean {
    return this.#failures.length > 0;
  }

  getWriteErrorCount(): number {
    return this.#failures.length;
  }

  getWriteErrors(): readonly WriteFailure[] {
    return this.failures;
  }

  getWriteErrorAt(index: number): WriteFailure | undefined {
    return this.failures[index];
  }

  getWriteConcernError(): undefined {}

  /** As the driver's types have it. */
  asResult(): BulkWriteResult {
    return this as unknown as BulkWriteResult;
  }
}

/** The refusal of one document or statement, as the driver tells it. */
export function writeErrorOf(failure: WriteFailure): Error {
  const error = new MongoServerError({ message: failure.errmsg, ...failure });
  return failure.code === QUERY_PLAN_KILLED ? new UpdateInterruptedError(error) : error;
}

/** The refusals among several writes, as the driver tells them; undefined if there are none. */
export function bulkErrorOf(counts: BulkCounts): Error | undefined {
  const [first] = counts.failures;
  if (first === undefined) return undefined;
  const { errmsg: message, code } = first;
  const writeErrors = [...counts.failures] as unknown as WriteError[];
  const error = new MongoBulkWriteError({ message, code, writeErrors }, counts.asResult());
  return code === QUERY_PLAN_KILLED ? new UpdateInterruptedError(error) : error;
}
