import { type Document, MongoServerError, type ObjectId } from 'mongodb';
import type { AppError } from '../errors.ts';
import { OrganizationBusyError } from '../registry/registry-errors.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { despiteDrops } from './despite-drops.ts';
import { type IndexDefinition, ORDERS } from './index-definition.ts';
import {
  DuplicateValuesError,
  IndexBuildEndedError,
  IndexExistsError,
  IndexNotFoundError,
  InvalidIndexError,
} from './index-errors.ts';

/** What deleting an index may take: it waits for what is under way on the collection. */
const LIMIT_MS = 5_000;

const INDEX_NOT_FOUND = 27;
const MAX_TIME_MS_EXPIRED = 50;
const CANNOT_CREATE_INDEX = 67;
const INDEX_OPTIONS_CONFLICT = 85;
const INDEX_KEY_SPECS_CONFLICT = 86;
const CANNOT_INDEX_PARALLEL_ARRAYS = 171;
const INDEX_BUILD_ABORTED = 276;
const DUPLICATE_KEY = 11000;

/** An index as the database has it. */
export interface StoredIndex {
  name: string;
  /** In order. Those of indexes that were not made here may have other orders than {@link ORDERS}. */
  fields: { field: string; order: string }[];
  unique: boolean;
  sparse: boolean;
  expireAfterSeconds: number | null;
  /** As BSON. */
  partialFilter: Document | null;
  building: boolean;
  /** On disk; null when it came after the sizes were read. */
  bytes: number | null;
  /** How many operations have used it on the node that was asked, since when. */
  operations: number;
  since: Date;
}

/** The indexes of organizations' collections. */
export class IndexStore {
  readonly #directory: TenantDirectory;

  constructor(deps: { directory: TenantDirectory }) {
    this.#directory = deps.directory;
  }

  /** @returns all, the oldest first, those being built included; @throws OrganizationNotFoundError, OrganizationBusyError */
  async list(organizationId: ObjectId): Promise<StoredIndex[]> {
    const collection = await this.#directory.open(organizationId);
    // The fields as a list: an object would put names that are numbers first.
    const fields = { fields: { $objectToArray: '$key' } };
    const [found, [stats]] = await Promise.all([
      despiteDrops(() => collection.aggregate([{ $indexStats: {} }, { $addFields: fields }])),
      despiteDrops(() =>
        collection.aggregate([
          { $collStats: { storageStats: {} } },
          { $replaceWith: { sizes: { $objectToArray: '$storageStats.indexSizes' } } },
        ]),
      ),
    ]);
    const sizes = new Map<string, number>(
      ((stats?.sizes ?? []) as Document[]).map(({ k, v }) => [k, Number(v)]),
    );
    return found.map((one) => storedIndex(one, sizes)).sort(byAge);
  }

  /**
   * Builds an index, however long it takes. What ends the waiting (a lost connection, this process) does not end the
   * building: measured on MongoDB 6.0.5, a replica set and a standalone; a `maxTimeMS` would.
   *
   * @returns whether there was none before
   * @throws IndexExistsError, DuplicateValuesError, InvalidIndexError, IndexBuildEndedError, OrganizationNotFoundError,
   *   OrganizationBusyError
   * @throws DatabaseUnavailableError when it may be built nevertheless
   */
  async build(
    organizationId: ObjectId,
    { name, key, options }: IndexDefinition,
  ): Promise<'created' | 'existing'> {
    const { commands } = await this.#directory.open(organizationId);
    const command = (createIndexes: string) => ({
      ...{ createIndexes, indexes: [{ key, name, ...options }] },
    });
    try {
      const reply = await commands.run(command, { write: true, timeLimitMs: Infinity });
      return reply.note === undefined ? 'created' : 'existing';
    } catch (error) {
      throw error instanceof MongoServerError ? refusalOf(error, [...key.keys()]) : error;
    }
  }

  /** Deletes an index; one that is being built as well. @throws IndexNotFoundError; otherwise as {@link list} */
  async drop(organizationId: ObjectId, name: string): Promise<void> {
    // MongoDB takes it for all of them.
    if (name === '*') throw new IndexNotFoundError();
    const { commands } = await this.#directory.open(organizationId);
    let repeated = false;
    const options = {
      ...{ write: true, timeLimitMs: LIMIT_MS },
      onRepeat: () => {
        repeated = true;
      },
    };
    try {
      await commands.run((dropIndexes) => ({ dropIndexes, index: name }), options);
    } catch (error) {
      if (!(error instanceof MongoServerError)) throw error;
      const code = Number(error.code);
      if (code === MAX_TIME_MS_EXPIRED) throw new OrganizationBusyError();
      if (code !== INDEX_NOT_FOUND) throw error;
      if (!repeated) throw new IndexNotFoundError();
    }
  }
}

/** What to tell the caller of an index that MongoDB refuses. */
function refusalOf(cause: MongoServerError, fields: readonly string[]): AppError {
  switch (Number(cause.code)) {
    case INDEX_OPTIONS_CONFLICT:
    case INDEX_KEY_SPECS_CONFLICT:
      return new IndexExistsError({ cause });
    case DUPLICATE_KEY:
      return new DuplicateValuesError(fields, { cause });
    case INDEX_BUILD_ABORTED:
      return new IndexBuildEndedError({ cause });
    case CANNOT_INDEX_PARALLEL_ARRAYS:
      return invalid('/fields', 'are lists in one record: at most one of them may be', cause);
    case CANNOT_CREATE_INDEX: {
      const isPartial = cause.message.includes('partial index');
      return isPartial
        ? invalid('/partial_filter', 'uses an operator that MongoDB does not take there', cause)
        : invalid('', 'is not one that MongoDB can make', cause);
    }
    default:
      return invalid(
        '',
        'is not one that MongoDB can make, or not for the records there are',
        cause,
      );
  }
}

function invalid(path: string, message: string, cause: unknown): AppError {
  return new InvalidIndexError([{ path, message }], { cause });
}

function storedIndex(found: Document, sizes: ReadonlyMap<string, number>): StoredIndex {
  const { name, spec, accesses, building } = found;
  return {
    name,
    fields: fieldsOf(found),
    unique: spec.unique === true,
    sparse: spec.sparse === true,
    expireAfterSeconds:
      spec.expireAfterSeconds === undefined ? null : Number(spec.expireAfterSeconds),
    partialFilter: spec.partialFilterExpression ?? null,
    building: building === true,
    bytes: sizes.get(name) ?? null,
    operations: Number(accesses.ops),
    since: accesses.since,
  };
}

/** MongoDB keeps the fields of a text index apart, under `weights`. */
function fieldsOf({ fields, spec }: Document): StoredIndex['fields'] {
  return (fields as Document[]).flatMap(({ k, v }) => {
    if (k === '_ftsx') return [];
    if (k !== '_fts') return [{ field: k, order: orderOf(v) }];
    return Object.keys(spec.weights ?? {}).map((field) => ({ field, order: 'text' }));
  });
}

function orderOf(value: unknown): string {
  const plain = typeof value === 'string' ? value : Math.sign(Number(value));
  const known = Object.entries(ORDERS).find(([, one]) => one === plain);
  return known?.[0] ?? String(plain);
}

/** A moment that two share is rare, and then any order will do that is the same for everybody. */
function byAge(one: StoredIndex, other: StoredIndex): number {
  const byTime = one.since.getTime() - other.since.getTime();
  return byTime === 0 ? (one.name < other.name ? -1 : 1) : byTime;
}
