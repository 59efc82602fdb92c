import type { ObjectId } from 'mongodb';
import type { AppError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import type { WriteFailure } from '../tenants/tenant-collection.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { QuotaExceededError } from '../usage/quota-errors.ts';
import type { RecordQuota } from '../usage/quota-service.ts';
import { type ChangeConditions, matches } from './entity-tags.ts';
import { mergePatch } from './merge-patch.ts';
import { exactOf } from './record-bytes.ts';
import {
  absent,
  amountOf,
  change,
  createAbsent,
  find,
  MAX_ATTEMPTS,
  type RecordTarget,
  replacement,
  throwFirst,
  unchanged,
  write,
} from './record-changes.ts';
import {
  assertId,
  idChanged,
  isExact,
  isSame,
  isSameId,
  recordOf,
  recordWithId,
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
import { insertMany, type NewRecord } from './record-insertions.ts';

/** A creation that may be repeated: the ids decided for it beforehand, the first attempt's first. */
export interface RecordAttempt {
  subjectId: ObjectId;
  earlierSubjectIds: readonly ObjectId[];
}

interface RecordServiceDeps {
  directory: TenantDirectory;
  quota: RecordQuota;
  ids: IdSource;
}

/** JSON as it came. */
type Body = Record<string, unknown>;

/**
 * Single records of an organization. Every change is one command for one document: it takes place or it does not, and
 * whoever names the version they saw never overwrites another one.
 *
 * All methods throw OrganizationNotFoundError when the organization is gone, and DatabaseUnavailableError; those that add
 * something, QuotaExceededError.
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
    const { collection, withRoom } = await this.#target(organizationId);
    const given = firstIdOf(attempt);
    const record = recordOf(body, '', () => given ?? this.#deps.ids.objectId());
    const refusal = await insertion(() =>
      withRoom(amountOf(record), () => collection.insertEach([Object.fromEntries(record.fields)])),
    );
    if (refusal === undefined) return record;
    // What an earlier attempt made may be there, and may have taken the last room.
    const mayBeOwn = refusal instanceof RecordExistsError || refusal instanceof QuotaExceededError;
    if (!mayBeOwn || !attempt?.earlierSubjectIds.length) throw refusal;
    const existing = await find(collection, record.fields.get('_id'));
    const isOwn = existing && (body._id === undefined || isSame(existing, record.bytes));
    if (!isOwn) throw refusal;
    return { fields: exactOf(existing), bytes: existing };
  }

  /**
   * Makes many, each by itself.
   *
   * @param records - those of which the caller has `isGiven` the `_id` are recognised by their content
   * @param isRepeated - whether an attempt whose answer got lost may have made them
   * @returns why one was refused, at its place
   */
  async insertMany(
    organizationId: ObjectId,
    records: readonly NewRecord[],
    isRepeated: boolean,
  ): Promise<(AppError | undefined)[]> {
    const { directory, quota } = this.#deps;
    const collection = await directory.open(organizationId);
    return insertMany({ collection, quota, organizationId }, records, isRepeated);
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
    const target = await this.#target(organizationId);
    const record = recordWithId(body, id);
    if (ifAbsent) {
      assertId(id, '/_id');
      if (ifMatch !== undefined) throw new RecordChangedError();
      return createAbsent(target, record);
    }
    // A number may be stored with another type than the one it was asked for with; the record keeps the one it has.
    const isBlind = isExact(id) && (ifMatch === undefined || ifMatch === '*');
    // With a limit it matters how large the record was.
    if (isBlind && !(await this.#deps.quota.isLimited(organizationId))) {
      const { collection } = target;
      const { n, failures } = await write(collection, replacement({ _id: { $eq: id } }, record));
      throwFirst(failures);
      if (n === 0) throw absent(ifMatch);
      return record;
    }
    return change(target, id, ifMatch, (current) =>
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
    const target = await this.#target(organizationId);
    assertId(id, '/_id');
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      try {
        return { record: await this.replace(organizationId, id, body), isNew: false };
      } catch (error) {
        if (!(error instanceof RecordNotFoundError)) throw error;
      }
      try {
        return { record: await createAbsent(target, recordWithId(body, id)), isNew: true };
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
    const target = await this.#target(organizationId);
    // What is wrong with the patch itself is told whether or not there is a record.
    mergePatch(new Map(), patch, '');
    return change(target, id, ifMatch, (current) => {
      const next = mergePatch(current, patch, '');
      if ('_id' in patch && !isSameId(next.get('_id'), current.get('_id'))) throw idChanged();
      return storedRecord(next, '');
    });
  }

  /** @returns the record, or undefined */
  async find(organizationId: ObjectId, id: unknown): Promise<StoredRecord | undefined> {
    const bytes = await find(await this.#deps.directory.open(organizationId), id);
    return bytes && { fields: exactOf(bytes), bytes };
  }

  /** Whether a record is what putting this one in its place, or applying this patch, makes of it. */
  isResult(
    { fields, bytes }: StoredRecord,
    { record, patch }: { record?: Body | undefined; patch?: Body | undefined },
  ): boolean {
    const result =
      record === undefined
        ? storedRecord(mergePatch(fields, patch ?? {}, ''), '')
        : recordOf(record, '', () => fields.get('_id'));
    return isSame(result.bytes, bytes);
  }

  async #target(organizationId: ObjectId): Promise<RecordTarget> {
    const { directory, quota } = this.#deps;
    const collection = await directory.open(organizationId);
    return { collection, withRoom: (...args) => quota.withRoom(organizationId, ...args) };
  }

  newId(): ObjectId {
    return this.#deps.ids.objectId();
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

/** @returns why the record was refused, be it for lack of room; undefined when it is in */
async function insertion(insert: () => Promise<WriteFailure[]>): Promise<AppError | undefined> {
  try {
    const [failure] = await insert();
    return failure && refusalOf(failure);
  } catch (error) {
    if (error instanceof QuotaExceededError) return error;
    throw error;
  }
}

/** An earlier attempt may yet get through: then both make the same record. */
function firstIdOf(attempt: RecordAttempt | undefined): ObjectId | undefined {
  return attempt?.earlierSubjectIds[0] ?? attempt?.subjectId;
}
