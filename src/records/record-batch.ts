import type { ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import { entityTagsOf } from './entity-tags.ts';
import { assertComplete, type BatchOperation, idOf } from './record-batch-operation.ts';
import { derivedId, recordOf, type StoredRecord } from './record-document.ts';
import { RecordChangedError, RecordNotFoundError } from './record-errors.ts';
import { etagOf } from './record-etag.ts';
import type { RecordAttempt, RecordService } from './record-service.ts';

/** Of the records that go to the database in one command, which holds 16 MiB at most. */
const MAX_COMMAND_BYTES = 8 * 1_048_576;
/** So many deletions are under way at once. */
const MAX_DELETIONS = 16;
/** What is not begun by then is left: an `Idempotency-Key` is held for its request for 30 s. */
const TIME_LIMIT_MS = 20_000;

/** What became of one change: what it did, or why it was not done. */
export type BatchResult =
  | { done: 'created' | 'changed' | 'deleted'; id: unknown; etag?: string }
  | { error: AppError };

/** Nothing was done about it, because there was no time left. */
class OutOfTimeError extends AppError {
  constructor() {
    super(
      ...(['unavailable', 'batch_out_of_time'] as const),
      `The batch took longer than ${TIME_LIMIT_MS / 1_000} s. This was not done: send it in another batch.`,
    );
  }
}

interface RecordBatchDeps {
  records: RecordService;
  clock: Clock;
}

/**
 * Many changes in one request, done in order. They are changes of their own: some may be done and others not. Repeated after
 * a lost answer, as an attempt tells, what was done is not done again.
 */
export class RecordBatch {
  readonly #deps: RecordBatchDeps;

  constructor(deps: RecordBatchDeps) {
    this.#deps = deps;
  }

  /**
   * @returns a result for each, in their order
   * @throws InvalidFieldError for what lacks a part, before anything is done; OrganizationNotFoundError;
   *   DatabaseUnavailableError, after which a repetition goes on where this ended
   */
  async run(
    organizationId: ObjectId,
    operations: readonly BatchOperation[],
    attempt?: RecordAttempt,
  ): Promise<BatchResult[]> {
    operations.forEach(assertComplete);
    const { clock } = this.#deps;
    const endsAt = clock.monotonicMs() + TIME_LIMIT_MS;
    const run = new BatchRun({ ...this.#deps, organizationId, attempt });
    const results: BatchResult[] = [];
    while (results.length < operations.length) {
      const left = operations.slice(results.length);
      if (clock.monotonicMs() > endsAt) {
        results.push(...left.map(() => ({ error: new OutOfTimeError() })));
        break;
      }
      results.push(...(await run.next(left, results.length)));
    }
    return results;
  }
}

interface BatchRunDeps {
  records: RecordService;
  organizationId: ObjectId;
  attempt: RecordAttempt | undefined;
}

/** One batch on its way. */
class BatchRun {
  readonly #deps: BatchRunDeps;

  constructor(deps: BatchRunDeps) {
    this.#deps = deps;
  }

  /** Does the first of these, and as many of the next as go together with it. @param at - the first one's place */
  async next(left: readonly BatchOperation[], at: number): Promise<BatchResult[]> {
    const [first] = left;
    if (first?.op === 'insert') return this.#insertMany(left, at);
    if (first?.op === 'delete') return this.#deleteMany(left);
    return first === undefined ? [] : [await settled(() => this.#one(first))];
  }

  async #insertMany(left: readonly BatchOperation[], at: number): Promise<BatchResult[]> {
    const results: BatchResult[] = [];
    const records: { index: number; record: StoredRecord; isGiven: boolean }[] = [];
    let bytes = 0;
    for (const [index, { op, record: body = {} }] of left.entries()) {
      if (op !== 'insert' || bytes > MAX_COMMAND_BYTES) break;
      try {
        const record = recordOf(body, '', () => this.#idOf(at + index));
        records.push({ index, record, isGiven: body._id !== undefined });
        bytes += record.bytes.length;
        results.push(done('created', record));
      } catch (error) {
        results.push({ error: itemError(error) });
      }
    }
    const refusals = await this.#deps.records.insertMany(
      this.#deps.organizationId,
      records,
      this.#isRepeated,
    );
    for (const [place, error] of refusals.entries()) {
      const index = records[place]?.index;
      if (error !== undefined && index !== undefined) results[index] = { error };
    }
    return results;
  }

  /** Each is of another record, so they may overtake one another. */
  async #deleteMany(left: readonly BatchOperation[]): Promise<BatchResult[]> {
    const together: BatchOperation[] = [];
    const ids = new Set<string>();
    for (const one of left) {
      const id = JSON.stringify(one.id);
      if (one.op !== 'delete' || ids.has(id) || together.length === MAX_DELETIONS) break;
      ids.add(id);
      together.push(one);
    }
    return Promise.all(together.map((one) => settled(() => this.#one(one))));
  }

  async #one(operation: BatchOperation): Promise<BatchResult> {
    const id = idOf(operation.id);
    try {
      return await this.#do(operation, id);
    } catch (error) {
      const isOwnDoing =
        error instanceof RecordChangedError || error instanceof RecordNotFoundError;
      if (!this.#isRepeated || !isOwnDoing) throw error;
      return (await this.#doneBefore(operation, id)) ?? Promise.reject(error);
    }
  }

  async #do(operation: BatchOperation, id: unknown): Promise<BatchResult> {
    const { records, organizationId } = this.#deps;
    const { op, record = {}, patch = {}, if_match } = operation;
    const conditions =
      if_match === undefined ? {} : { ifMatch: entityTagsOf(if_match, 'if_match') };
    switch (op) {
      case 'replace':
        return done('changed', await records.replace(organizationId, id, record, conditions));
      case 'patch':
        return done('changed', await records.patch(organizationId, id, patch, conditions));
      case 'upsert': {
        const upserted = await records.upsert(organizationId, id, record);
        return done(upserted.isNew ? 'created' : 'changed', upserted.record);
      }
      default:
        await records.delete(organizationId, id, conditions);
        return { done: 'deleted', id };
    }
  }

  /** What an attempt did before, whose answer got lost. */
  async #doneBefore(operation: BatchOperation, id: unknown): Promise<BatchResult | undefined> {
    const { records, organizationId } = this.#deps;
    const { op, record, patch } = operation;
    const found = await records.find(organizationId, id);
    if (op === 'delete') return found === undefined ? { done: 'deleted', id } : undefined;
    const isDone = found !== undefined && records.isResult(found, { record, patch });
    return isDone ? done('changed', found) : undefined;
  }

  #idOf(index: number): ObjectId {
    const { attempt, records } = this.#deps;
    if (attempt === undefined) return records.newId();
    return derivedId(attempt.earlierSubjectIds[0] ?? attempt.subjectId, index);
  }

  get #isRepeated(): boolean {
    return (this.#deps.attempt?.earlierSubjectIds.length ?? 0) > 0;
  }
}

async function settled(work: () => Promise<BatchResult>): Promise<BatchResult> {
  try {
    return await work();
  } catch (error) {
    return { error: itemError(error) };
  }
}

/** @throws what is no fault of one record */
function itemError(error: unknown): AppError {
  const isOfAll =
    !(error instanceof AppError) ||
    error.kind === 'unavailable' ||
    error instanceof OrganizationNotFoundError;
  if (isOfAll) throw error;
  return error;
}

function done(what: 'created' | 'changed', { fields, bytes }: StoredRecord): BatchResult {
  return { done: what, id: fields.get('_id'), etag: etagOf(bytes) };
}
