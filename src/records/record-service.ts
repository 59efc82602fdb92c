import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Document, type ObjectId, ObjectId as Oid } from 'mongodb';
import type { IdSource } from '../ids.ts';
import type {
  TenantCollection,
  UpdateStatement,
  WriteFailure,
  WriteOutcome,
} from '../tenants/tenant-collection.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { type ChangeConditions, type EntityTags, matches } from './entity-tags.ts';
import { InvalidExtendedJsonError } from './extended-json.ts';
import { mergePatch } from './merge-patch.ts';
import { exactOf } from './record-bytes.ts';
import {
  assertId,
  isSame,
  isSameId,
  recordOf,
  type StoredRecord,
  storedRecord,
} from './record-document.ts';
import {
  explainingRefusal,
  RecordBusyError,
  RecordChangedError,
  RecordExistsError,
  RecordNotFoundError,
  refusalOf,
} from './record-errors.ts';
import { etagOf } from './record-etag.ts';

/** So often a change is made anew when others come in between. */
const MAX_ATTEMPTS = 60;
/** At most, between two attempts. */
const MAX_PAUSE_MS = 40;

/** A creation that may be repeated: the ids decided for it beforehand, the first attempt's first. */
export interface RecordAttempt {
  subjectId: ObjectId;
  earlierSubjectIds: readonly ObjectId[];
}

interface RecordServiceDeps {
  directory: TenantDirectory;
  ids: IdSource;
}

/** JSON as it came. */
type Body = Record<string, unknown>;

/**
 * Single records of an organization. Every change is one command for one document: it takes place or it does not, and
 * whoever names the version they saw never overwrites another one.
 *
 * All methods throw OrganizationNotFoundError when the organization is gone, and DatabaseUnavailableError.
 */
export class RecordService {
  readonly #deps: RecordServiceDeps;

  constructor(deps: RecordServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Makes a record. An attempt whose answer got lost is recognised by the id it gave, or by what it stored.
   *
   * @throws RecordExistsError, DuplicateValueError, RecordTooLargeError, InvalidExtendedJsonError
   */
  async create(
    organizationId: ObjectId,
    body: Body,
    attempt?: RecordAttempt,
  ): Promise<StoredRecord> {
    const collection = await this.#deps.directory.open(organizationId);
    const given = firstIdOf(attempt);
    const record = recordOf(body, '', () => given ?? this.#deps.ids.objectId());
    const [failure] = await collection.insertEach([Object.fromEntries(record.fields)]);
    if (failure === undefined) return record;
    const refusal = refusalOf(failure);
    if (!(refusal instanceof RecordExistsError) || !attempt?.earlierSubjectIds.length)
      throw refusal;
    const existing = await find(collection, record.fields.get('_id'));
    const isOwn = existing && (body._id === undefined || isSame(existing, record.bytes));
    if (!isOwn) throw refusal;
    return { fields: exactOf(existing), bytes: existing };
  }

  /**
   * Puts a record in the place of the one with this id. It makes none, so that nobody brings back what was deleted, unless
   * `ifAbsent` says so.
   *
   * @throws RecordNotFoundError, RecordChangedError, DuplicateValueError, RecordTooLargeError, InvalidExtendedJsonError
   */
  async replace(
    organizationId: ObjectId,
    id: unknown,
    body: Body,
    { ifMatch, ifAbsent = false }: ChangeConditions = {},
  ): Promise<StoredRecord> {
    const collection = await this.#deps.directory.open(organizationId);
    const record = recordWithId(body, id);
    if (ifAbsent) {
      assertId(id, '/_id');
      if (ifMatch !== undefined) throw new RecordChangedError();
      return createAbsent(collection, record);
    }
    // A number may be stored with another type than the one it was asked for with; the record keeps the one it has.
    if (isExact(id) && (ifMatch === undefined || ifMatch === '*')) {
      const { n, failures } = await write(collection, replacement({ _id: { $eq: id } }, record));
      throwFirst(failures);
      if (n === 0) throw absent(ifMatch);
      return record;
    }
    return change(collection, id, ifMatch, (current) =>
      storedRecord(new Map([...record.fields, ['_id', current.get('_id')]]), ''),
    );
  }

  /**
   * Puts a record there, whether or not there is one with this id.
   *
   * @returns the record, and whether it is a new one
   */
  async upsert(
    organizationId: ObjectId,
    id: unknown,
    body: Body,
  ): Promise<{ record: StoredRecord; isNew: boolean }> {
    const collection = await this.#deps.directory.open(organizationId);
    assertId(id, '/_id');
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      try {
        return { record: await this.replace(organizationId, id, body), isNew: false };
      } catch (error) {
        if (!(error instanceof RecordNotFoundError)) throw error;
      }
      try {
        return { record: await createAbsent(collection, recordWithId(body, id)), isNew: true };
      } catch (error) {
        // Somebody else was faster.
        if (!(error instanceof RecordChangedError)) throw error;
      }
    }
    throw new RecordBusyError();
  }

  /**
   * Applies a JSON merge patch. Without `ifMatch` it is made anew when somebody else changes the record meanwhile, so that
   * of changes to different fields none is lost.
   *
   * @throws RecordNotFoundError, RecordChangedError, RecordBusyError, DuplicateValueError, RecordTooLargeError,
   *   InvalidExtendedJsonError
   */
  async patch(
    organizationId: ObjectId,
    id: unknown,
    patch: Body,
    { ifMatch, ifAbsent }: ChangeConditions = {},
  ): Promise<StoredRecord> {
    if (ifAbsent) throw new RecordChangedError();
    const collection = await this.#deps.directory.open(organizationId);
    // What is wrong with the patch itself is told whether or not there is a record.
    mergePatch(new Map(), patch, '');
    return change(collection, id, ifMatch, (current) => {
      const next = mergePatch(current, patch, '');
      if ('_id' in patch && !isSameId(next.get('_id'), current.get('_id'))) throw idChanged();
      return storedRecord(next, '');
    });
  }

  /** @throws RecordNotFoundError, RecordChangedError */
  async delete(
    organizationId: ObjectId,
    id: unknown,
    { ifMatch, ifAbsent }: ChangeConditions = {},
  ): Promise<void> {
    if (ifAbsent) throw new RecordChangedError();
    const collection = await this.#deps.directory.open(organizationId);
    if (ifMatch === undefined || ifMatch === '*') {
      const statement = { q: { _id: { $eq: id } }, limit: 1 } as const;
      const { n, repeated } = await explainingRefusal(() => collection.delete([statement]));
      // Of a repetition only the first attempt could tell what it found.
      if (n === 0 && !repeated) throw absent(ifMatch);
      return;
    }
    const current = await find(collection, id);
    if (current === undefined || !matches(ifMatch, etagOf(current))) throw new RecordChangedError();
    const { n, repeated } = await collection.delete([{ q: unchanged(current), limit: 1 }]);
    if (n === 0 && !(repeated && (await find(collection, id)) === undefined))
      throw new RecordChangedError();
  }
}

/** Reads, changes and writes, until nobody has come in between. */
async function change(
  collection: TenantCollection,
  id: unknown,
  ifMatch: EntityTags | undefined,
  make: (current: ReadonlyMap<string, unknown>) => StoredRecord,
): Promise<StoredRecord> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const current = await find(collection, id);
    if (current === undefined) throw absent(ifMatch);
    if (ifMatch !== undefined && !matches(ifMatch, etagOf(current))) throw new RecordChangedError();
    const next = make(exactOf(current));
    if (isSame(next.bytes, current)) return next;
    const { n, failures, repeated } = await write(
      collection,
      replacement(unchanged(current), next),
    );
    throwFirst(failures);
    if (n > 0) return next;
    // The first attempt may have taken place, and its answer got lost.
    if (repeated) {
      const found = await find(collection, id);
      if (found !== undefined && isSame(found, next.bytes)) return next;
    }
    await delay(randomInt(1, MAX_PAUSE_MS));
  }
  throw new RecordBusyError();
}

/** @throws RecordChangedError when there is one with its id */
async function createAbsent(
  collection: TenantCollection,
  record: StoredRecord,
): Promise<StoredRecord> {
  const [failure] = await collection.insertEach([Object.fromEntries(record.fields)]);
  if (failure === undefined) return record;
  const refusal = refusalOf(failure);
  throw refusal instanceof RecordExistsError ? new RecordChangedError() : refusal;
}

async function find(collection: TenantCollection, id: unknown): Promise<Uint8Array | undefined> {
  const { documents } = await explainingRefusal(() =>
    collection.commands.firstBatch((name) => ({
      find: name,
      filter: { _id: { $eq: id } },
      limit: 1,
    })),
  );
  return documents[0];
}

function write(collection: TenantCollection, statement: UpdateStatement): Promise<WriteOutcome> {
  return explainingRefusal(() => collection.update([statement], { repeatable: true }));
}

/** The record keeps its `_id` by itself. */
function replacement(q: Document, { fields }: StoredRecord): UpdateStatement {
  const rest = new Map([...fields].filter(([name]) => name !== '_id'));
  return { q, u: rest as unknown as Document };
}

/** Holds for the very document that was read. The server compares, field for field in their order. */
function unchanged(bytes: Uint8Array): Document {
  const document = exactOf(bytes);
  return {
    _id: { $eq: document.get('_id') },
    $expr: { $eq: ['$$ROOT', { $literal: document }] },
  };
}

function recordWithId(body: Body, id: unknown): StoredRecord {
  const record = recordOf(body, '', () => id);
  if (!isSameId(record.fields.get('_id'), id)) throw idChanged();
  return record;
}

/** Whether no other id is equal to this one. */
function isExact(id: unknown): boolean {
  return id instanceof Oid || typeof id === 'string';
}

/** An earlier attempt may yet get through: then both make the same record. */
function firstIdOf(attempt: RecordAttempt | undefined): ObjectId | undefined {
  return attempt?.earlierSubjectIds[0] ?? attempt?.subjectId;
}

function absent(ifMatch: EntityTags | undefined): Error {
  return ifMatch === undefined ? new RecordNotFoundError() : new RecordChangedError();
}

function throwFirst([failure]: readonly WriteFailure[]): void {
  if (failure !== undefined) throw refusalOf(failure);
}

function idChanged(): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path: '/_id', message: 'cannot be changed' });
}
