import { BSON, type Document, type ObjectId } from 'mongodb';
import { idAfter, idBefore } from '../tenants/bson-order.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { type Projection, projectionStage } from './projection.ts';
import { exactOf, partsOf, readableOf } from './record-bytes.ts';
import { explainingRefusal, RecordNotFoundError } from './record-errors.ts';
import { etagOf } from './record-etag.ts';
import type { RecordQuery } from './record-query.ts';
import { sortStage } from './sort-order.ts';
import { cursorOf, isAfter, mayBeAfter } from './sort-position.ts';

/** A page ends when its records take more, however many were asked for. */
const MAX_PAGE_BYTES = 4 * 1_048_576;

interface RecordReaderDeps {
  directory: TenantDirectory;
  /** What one query may take, in milliseconds. */
  timeLimitMs: number;
}

/** A record, or what was asked for of it: for `jsonOf`. */
export type RecordView = Document | Map<string, unknown>;

/** One page of a list. */
export interface RecordPage {
  records: RecordView[];
  next: string | null;
}

/** A record as it was found, and where it is in the order of the list. */
interface Row {
  record: Uint8Array;
  key: Uint8Array;
}

/** Reads records: one, many, or how many there are. */
export class RecordReader {
  readonly #deps: RecordReaderDeps;

  constructor(deps: RecordReaderDeps) {
    this.#deps = deps;
  }

  /**
   * One record, or what is asked for of it, with the version of the whole.
   *
   * @throws RecordNotFoundError
   */
  async one(
    organizationId: ObjectId,
    id: unknown,
    projection?: Projection,
  ): Promise<{ record: RecordView; etag: string }> {
    const collection = await this.#deps.directory.open(organizationId);
    const filter = { _id: { $eq: id } };
    const part = projection && projectionStage(projection, 'part.', ['whole']);
    const { documents } = await explainingRefusal(() =>
      collection.commands.firstBatch((name) =>
        part === undefined
          ? { find: name, filter, limit: 1 }
          : {
              aggregate: name,
              pipeline: [
                { $match: filter },
                { $replaceWith: { whole: '$$ROOT', part: '$$ROOT' } },
                { $project: part },
              ],
              cursor: {},
            },
      ),
    );
    const [found] = documents;
    if (found === undefined) throw new RecordNotFoundError();
    const { whole = found, part: shown = found } = part === undefined ? {} : partsOf(found);
    return { record: view(shown, projection), etag: etagOf(whole) };
  }

  /**
   * One page of the records that match. What is there when the first page is read, and stays as it is, is on exactly one
   * of the pages, whatever is inserted meanwhile.
   *
   * @throws QueryTooSlowError, RefusedByDatabaseError; InvalidFieldError when the cursor would be too long
   */
  async page(organizationId: ObjectId, query: RecordQuery): Promise<RecordPage> {
    const collection = await this.#deps.directory.open(organizationId);
    const { order, limit, projection } = query;
    const { rows, isLast } = await explainingRefusal(() => this.#rows(collection, query));
    let bytes = 0;
    // At least one, however large.
    const end = rows.slice(0, limit).findIndex(({ record }) => {
      bytes += record.length;
      return bytes > MAX_PAGE_BYTES;
    });
    const taken = rows.slice(0, end < 0 ? limit : Math.max(1, end));
    const last = taken.at(-1);
    const hasMore = taken.length < rows.length || !isLast;
    return {
      records: taken.map(({ record }) => view(record, projection)),
      next: hasMore && last !== undefined ? cursorOf(order, last.key) : null,
    };
  }

  /** @throws QueryTooSlowError, RefusedByDatabaseError */
  async count(organizationId: ObjectId, filter: Document): Promise<number> {
    const collection = await this.#deps.directory.open(organizationId);
    const { timeLimitMs } = this.#deps;
    return explainingRefusal(() => collection.count(filter, { timeLimitMs }));
  }

  async #rows(
    collection: TenantCollection,
    query: RecordQuery,
  ): Promise<{ rows: Row[]; isLast: boolean }> {
    const isById = query.order.length === 1;
    const build = isById ? byId(query) : byOrder(query);
    const { timeLimitMs } = this.#deps;
    const { documents, isLast } = await collection.commands.firstBatch(build, { timeLimitMs });
    return { rows: documents.map(isById ? rowOfRecord : rowOfBoth), isLast };
  }
}

/** The index on `_id` leads from page to page. */
function byId({ filter, order, after, projection, limit }: RecordQuery) {
  const isAscending = order[0]?.direction === 1;
  const position = after && (isAscending ? idAfter(after[0]) : idBefore(after[0]));
  const shown = projection && projectionStage(projection);
  return (find: string): Document => ({
    find,
    filter: position === undefined ? filter : { $and: [filter, position] },
    sort: sortStage(order),
    ...(shown && { projection: shown }),
    // One more tells whether there is another page; and in a batch with room for yet one more the cursor ends.
    ...{ limit: limit + 1, batchSize: limit + 2, allowDiskUse: true },
  });
}

/** The server says where each record is in the order, and compares that with the position (ADR 20). */
function byOrder({ filter, order, after, projection, limit }: RecordQuery) {
  const superset = after && mayBeAfter(order, after);
  const shown = projection && projectionStage(projection, 'record.', ['key']);
  const limited = { $limit: limit + 1 };
  const withKey = { $replaceWith: { record: '$$ROOT', key: { $meta: 'sortKey' } } };
  const pipeline = [
    { $match: superset === undefined ? filter : { $and: [filter, superset] } },
    { $sort: sortStage(order) },
    ...(after === undefined
      ? [limited, withKey]
      : [withKey, { $match: isAfter(order, after, 'key') }, limited]),
    ...(shown === undefined ? [] : [{ $project: shown }]),
  ];
  return (aggregate: string): Document => ({
    ...{ aggregate, pipeline, cursor: { batchSize: limit + 2 }, allowDiskUse: true },
  });
}

function rowOfBoth(bytes: Uint8Array): Row {
  const { record, key } = partsOf(bytes);
  if (record === undefined || key === undefined) throw new Error('the pipeline gives both');
  return { record, key };
}

function rowOfRecord(record: Uint8Array): Row {
  return {
    record,
    get key() {
      return BSON.serialize({ 0: exactOf(record).get('_id') });
    },
  };
}

function view(bytes: Uint8Array, projection: Projection | undefined): RecordView {
  const record = readableOf(bytes);
  if (projection?.hidesId === true) {
    if (record instanceof Map) record.delete('_id');
    else delete record._id;
  }
  return record;
}
