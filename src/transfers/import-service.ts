import { setImmediate } from 'node:timers/promises';
import type { ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';
import { sharingPatience } from '../database/deadline.ts';
import { AppError, type FieldError } from '../errors.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import type { RecordQuota } from '../usage/quota-service.ts';
import { type CsvOptions, CsvReader } from './csv-reader.ts';
import type { ReadRecord, RecordReader } from './import-records.ts';
import { ImportRoom } from './import-room.ts';
import {
  type ImportedDocument,
  type ImportMode,
  type WrittenBatch,
  writeBatch,
} from './import-writer.ts';
import { NdjsonReader } from './ndjson-reader.ts';

/** How many records are sent to the database together at most, and about how many bytes: its limit for one command is 16 MiB. */
const MAX_BATCH = 1_000;
const MAX_BATCH_BYTES = 2 * 1024 * 1024;
/** Errors beyond are counted only. */
const MAX_ERRORS = 1_000;
const PROGRESS_INTERVAL_MS = 1_000;
/** So many refusals are told of before others have their turn: some 10 ms. */
const FAILED_BEFORE_PAUSE = 500;
/** A fail-over takes 10 to 12 s, and whoever has been sending for an hour would rather wait than begin anew. */
const PATIENCE_MS = 20_000;

/** What is to be imported, and how. */
export interface ImportOptions extends CsvOptions {
  format: 'ndjson' | 'csv';
  mode: ImportMode;
  /** Throws when the caller may no longer import. Asked before each batch. */
  stillAllowed: () => Promise<void>;
}

/** A record that was not stored. */
export interface LineError {
  line: number;
  code: string;
  message: string;
  errors?: readonly FieldError[];
}

/** How far an import has come. */
export interface ImportProgress {
  /** Lines read, blank ones and the header of a CSV among them. */
  lines: number;
  /** Bytes of the body read. */
  bytes: number;
  inserted: number;
  replaced: number;
  failed: number;
}

/** What an import did. */
export interface ImportReport extends ImportProgress {
  /** In the order of the lines; the first {@link MAX_ERRORS} that occurred. */
  errors: LineError[];
  errors_truncated: boolean;
}

interface ImportServiceDeps {
  directory: TenantDirectory;
  quota: RecordQuota;
  clock: Clock;
}

/** Imports records, however many, in constant memory. */
export class ImportService {
  readonly #deps: ImportServiceDeps;

  constructor(deps: ImportServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Reads a body and stores its records, batch by batch. While one batch is on its way to the database the next is read,
   * and no more than that: whoever sends the body waits for the database.
   *
   * @param body - bytes, in pieces of any size
   * @yields progress, about once a second
   * @returns what was done
   * @throws InvalidHeaderError, OrganizationNotFoundError, DatabaseUnavailableError, and what `stillAllowed` or `body` throw.
   *   Records of the batches before are stored then
   */
  async *run(
    organizationId: ObjectId,
    body: AsyncIterable<Buffer>,
    options: ImportOptions,
  ): AsyncGenerator<ImportProgress, ImportReport> {
    const { directory, quota, clock } = this.#deps;
    const collection = await directory.open(organizationId);
    const room = new ImportRoom({ collection, quota, organizationId });
    const run = new ImportRun(collection, room, options);
    const reader = readerOf(options);
    let toldAt = clock.monotonicMs();
    let failedAtPause = 0;
    for await (const chunk of body) {
      run.report.bytes += chunk.length;
      for (const record of reader.push(chunk)) {
        if (run.add(record)) await run.flush();
        // A piece may hold thousands of lines that are wrong, and each takes longer than one that is right.
        if (run.report.failed - failedAtPause >= FAILED_BEFORE_PAUSE) {
          failedAtPause = run.report.failed;
          await setImmediate();
        }
      }
      run.report.lines = reader.lines;
      if (clock.monotonicMs() - toldAt < PROGRESS_INTERVAL_MS) continue;
      toldAt = clock.monotonicMs();
      const { errors, errors_truncated, ...progress } = run.report;
      yield progress;
    }
    for (const record of reader.end()) if (run.add(record)) await run.flush();
    run.report.lines = reader.lines;
    await run.finish();
    return run.report;
  }
}

function readerOf({ format, types, formulas }: ImportOptions): RecordReader {
  return format === 'csv' ? new CsvReader({ types, formulas }) : new NdjsonReader();
}

/** The state of one import. */
class ImportRun {
  readonly report: ImportReport = {
    ...{ lines: 0, bytes: 0, inserted: 0, replaced: 0, failed: 0 },
    ...{ errors: [], errors_truncated: false },
  };
  readonly #collection: TenantCollection;
  readonly #room: ImportRoom;
  readonly #options: ImportOptions;
  #batch: ImportedDocument[] = [];
  #batchBytes = 0;
  #underWay: Promise<WrittenBatch> | undefined;

  constructor(collection: TenantCollection, room: ImportRoom, options: ImportOptions) {
    this.#collection = collection;
    this.#room = room;
    this.#options = options;
  }

  /** @returns whether there is a batch to be sent */
  add({ line, size, document }: ReadRecord): boolean {
    if (document instanceof AppError) this.#refuse(line, document);
    else {
      this.#batch.push({ line, document });
      this.#batchBytes += size;
    }
    // The next record may be as large as one can be, and still fits.
    return this.#batch.length >= MAX_BATCH || this.#batchBytes >= MAX_BATCH_BYTES / 2;
  }

  /** Sends the batch, once the one before is stored. */
  async flush(): Promise<void> {
    await this.#arrive();
    await this.#options.stillAllowed();
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    const { mode } = this.#options;
    const write = () =>
      this.#room.fill(batch, mode, (some) => writeBatch(this.#collection, some, mode));
    const underWay = sharingPatience(write, PATIENCE_MS);
    // It is waited for later; and not at all, when the body ends in an error.
    underWay.catch(() => {});
    this.#underWay = underWay;
  }

  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.flush();
    await this.#arrive();
    this.report.errors.sort((a, b) => a.line - b.line);
  }

  async #arrive(): Promise<void> {
    const written = await this.#underWay;
    this.#underWay = undefined;
    if (written === undefined) return;
    this.report.inserted += written.inserted;
    this.report.replaced += written.replaced;
    for (const { line, error } of written.refused) this.#refuse(line, error);
  }

  #refuse(line: number, { code, message, errors }: AppError): void {
    this.report.failed += 1;
    if (this.report.errors.length < MAX_ERRORS)
      this.report.errors.push({ line, code, message, ...(errors && { errors }) });
    else this.report.errors_truncated = true;
  }
}
