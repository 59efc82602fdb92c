import type { Document, ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';
import { sharingPatience } from '../database/deadline.ts';
import type { IdSource } from '../ids.ts';
import type { ExtendedJsonMode } from '../records/extended-json.ts';
import { explainingRefusal } from '../records/record-errors.ts';
import type { ScanOptions, TenantCollection } from '../tenants/tenant-collection.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { CsvColumns } from './csv-columns.ts';
import type { FormulaMode } from './csv-formulas.ts';
import { CsvWriter } from './csv-writer.ts';
import { ExtendedJsonWriter } from './extended-json-writer.ts';
import { mongodumpArchive } from './mongodump-archive.ts';
import { SpoolFile } from './spool-file.ts';

/** Documents read at once; the server ends a batch at 16 MiB as well. */
const BATCH = 1_000;
/** A fail-over takes 10 to 12 s. */
const PATIENCE_MS = 20_000;

/** The forms in which records can be had. */
export type ExportFormat = 'ndjson' | 'csv' | 'mongodump';

/** What is to be exported, and how. */
export interface ExportOptions {
  format: ExportFormat;
  filter: Document;
  /** Paths of the fields that are wanted; by default all. */
  fields: readonly string[] | undefined;
  extendedJson: ExtendedJsonMode;
  formulas: FormulaMode;
  /** Throws when the caller may no longer read. Asked before each batch. */
  stillAllowed: () => Promise<void>;
}

/** An export that has begun. It has to be closed, read or not. */
export interface Export {
  chunks: AsyncIterable<Buffer>;
  close(): Promise<void>;
}

interface ExportServiceDeps {
  directory: TenantDirectory;
  clock: Clock;
  ids: IdSource;
}

/** Exports records, however many, in constant memory and in the order of `_id`. */
export class ExportService {
  readonly #deps: ExportServiceDeps;

  constructor(deps: ExportServiceDeps) {
    this.#deps = deps;
  }

  /** @returns a name for the file, without its ending: the organization's slug and the date */
  async fileName(organizationId: ObjectId): Promise<string> {
    const { directory, clock } = this.#deps;
    const { name } = await directory.open(organizationId);
    return `${name.replace(/^org_/, '')}-${clock.now().toISOString().slice(0, 10)}`;
  }

  /**
   * Begins an export: reads what is needed to know that it can be done.
   *
   * @throws TooManyColumnsError, NoSpoolSpaceError, RefusedByDatabaseError, OrganizationNotFoundError,
   *   DatabaseUnavailableError, what `stillAllowed` throws. Reading the chunks throws the same
   */
  async begin(organizationId: ObjectId, options: ExportOptions): Promise<Export> {
    const collection = await this.#deps.directory.open(organizationId);
    switch (options.format) {
      case 'ndjson':
        return ndjson(collection, options);
      case 'csv':
        return csv(collection, options);
      case 'mongodump':
        return this.#mongodump(collection, options);
    }
  }

  async #mongodump(collection: TenantCollection, options: ExportOptions): Promise<Export> {
    const { ids, clock } = this.#deps;
    const spool = await SpoolFile.open(`tenantry-export-${ids.objectId().toHexString()}`);
    try {
      const batches = await batchesOf(collection, options);
      for await (const batch of batches) await spool.write(batch);
      const description = await collection.describe();
      return {
        chunks: mongodumpArchive(description, spool, clock.now()),
        close: () => spool[Symbol.asyncDispose](),
      };
    } catch (error) {
      await spool[Symbol.asyncDispose]();
      throw error;
    }
  }
}

async function ndjson(collection: TenantCollection, options: ExportOptions): Promise<Export> {
  const batches = await batchesOf(collection, options);
  const writer = new ExtendedJsonWriter(options.extendedJson);
  const chunks = async function* () {
    for await (const batch of batches) yield writer.lines(batch);
  };
  return { chunks: chunks(), close: () => batches.close() };
}

async function csv(collection: TenantCollection, options: ExportOptions): Promise<Export> {
  const paths = options.fields ?? (await columnsOf(collection, options));
  const batches = await batchesOf(collection, options);
  const writer = new CsvWriter(paths, options.formulas);
  const chunks = async function* () {
    yield writer.header();
    for await (const batch of batches) yield writer.lines(batch);
  };
  return { chunks: chunks(), close: () => batches.close() };
}

async function columnsOf(
  collection: TenantCollection,
  options: ExportOptions,
): Promise<readonly string[]> {
  const columns = new CsvColumns();
  columns.addPath('_id');
  for await (const batch of await batchesOf(collection, options)) columns.add(batch);
  return columns.paths;
}

/** The batches of a scan whose first one is there already, so that it is known that the database takes the query. */
class Batches implements AsyncIterable<Uint8Array[]> {
  readonly #scan: AsyncGenerator<Uint8Array[], void>;
  readonly #stillAllowed: () => Promise<void>;
  #first: IteratorResult<Uint8Array[], void> | undefined;

  constructor(scan: AsyncGenerator<Uint8Array[], void>, stillAllowed: () => Promise<void>) {
    this.#scan = scan;
    this.#stillAllowed = stillAllowed;
  }

  async open(): Promise<void> {
    this.#first = await explainingRefusal(() => this.#next());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array[], void> {
    try {
      let next = this.#first;
      this.#first = undefined;
      while (next !== undefined && next.done !== true) {
        yield next.value;
        await this.#stillAllowed();
        next = await this.#next();
      }
    } finally {
      await this.close();
    }
  }

  /** Ends the cursor, whether anything has been read or not. */
  async close(): Promise<void> {
    await this.#scan.return();
  }

  #next(): Promise<IteratorResult<Uint8Array[], void>> {
    return sharingPatience(() => this.#scan.next(), PATIENCE_MS);
  }
}

async function batchesOf(
  collection: TenantCollection,
  { filter, fields, stillAllowed }: ExportOptions,
): Promise<Batches> {
  const options: ScanOptions = {
    batchSize: BATCH,
    ...(fields && { projection: Object.fromEntries(fields.map((path) => [path, 1])) }),
  };
  const batches = new Batches(collection.scanBytes(filter, options), stillAllowed);
  await batches.open();
  return batches;
}
