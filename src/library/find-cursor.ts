import type { CollationOptions, Document, FindOptions, Hint, Sort, SortDirection } from 'mongodb';
import { idAfter } from '../tenants/bson-order.ts';
import { CursorLostError, type FencedCommands } from '../tenants/fenced-commands.ts';
import { sortOf } from './driver-forms.ts';
import { RecordCursor } from './record-cursor.ts';

/** What the server may take for a query with all its batches or for a write, unless `maxTimeMS` says otherwise. */
export const DEFAULT_TIME_LIMIT_MS = 60_000;

/** The options of a query that are honoured. */
export type FindRecordsOptions = Pick<FindOptions, FindOptionName>;
type FindOptionName = (typeof FIND_OPTIONS)[number];
export const FIND_OPTIONS = [
  ...([
    'sort',
    'projection',
    'limit',
    'skip',
    'batchSize',
    'hint',
    'collation',
    'comment',
  ] as const),
  ...(['let', 'maxTimeMS', 'allowDiskUse', 'min', 'max', 'returnKey', 'showRecordId'] as const),
  'singleBatch',
] as const;

/** A query as the server takes it. */
type Query = Document & { filter: Document };

/** The documents that match a filter, as the driver's `FindCursor` gives them. */
export class RecordsFindCursor<T> extends RecordCursor<T> {
  readonly #commands: FencedCommands;
  #query: Query;
  #batchSize: number | undefined;
  #timeLimitMs: number;

  /** @param options - of {@link FIND_OPTIONS} */
  constructor(commands: FencedCommands, filter: Document, options: FindRecordsOptions) {
    super();
    const { sort, batchSize, maxTimeMS = DEFAULT_TIME_LIMIT_MS, limit, ...rest } = options;
    this.#commands = commands;
    this.#query = { filter, ...rest };
    this.#batchSize = batchSize;
    this.#timeLimitMs = maxTimeMS;
    if (sort !== undefined && sort !== null) this.sort(sort);
    if (limit !== undefined) this.limit(limit);
  }

  filter(filter: Document): this {
    return this.#with({ filter });
  }

  sort(sort: Sort | string, direction?: SortDirection): this {
    const keys = sortOf(sort, direction);
    return this.#with({ sort: keys.size === 0 ? undefined : keys });
  }

  /** @param limit - 0: none; less than 0: so many, in one batch */
  limit(limit: number): this {
    if (limit >= 0) return this.#with({ limit, singleBatch: undefined });
    return this.#with({ limit: -limit, singleBatch: true });
  }

  skip(skip: number): this {
    return this.#with({ skip });
  }

  project<U extends Document = Document>(projection: Document): RecordsFindCursor<U> {
    return this.#with({ projection }) as unknown as RecordsFindCursor<U>;
  }

  hint(hint: Hint): this {
    return this.#with({ hint });
  }

  collation(collation: CollationOptions): this {
    return this.#with({ collation });
  }

  comment(comment: string): this {
    return this.#with({ comment });
  }

  allowDiskUse(allowDiskUse = true): this {
    return this.#with({ allowDiskUse });
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

  map<U>(transform: (document: T) => U): RecordsFindCursor<U> {
    this.assertUnused();
    this.addTransform(transform as (document: never) => unknown);
    return this as unknown as RecordsFindCursor<U>;
  }

  protected async *open(): AsyncGenerator<Document[], void> {
    const query = this.#query;
    let given = 0;
    let last: unknown;
    for (;;) {
      const build = (find: string) => ({ find, ...restOf(query, given, last), ...this.#size() });
      const limits = { timeLimitMs: this.#timeLimitMs, ...this.#size() };
      try {
        for await (const batch of this.#commands.batches(build, limits)) {
          if (batch.length === 0) continue;
          yield batch;
          given += batch.length;
          last = batch.at(-1)?._id;
        }
        return;
      } catch (error) {
        if (!(error instanceof CursorLostError) || given === 0 || !goesOn(query)) throw error;
        if (query.limit > 0 && given >= query.limit) return;
      }
    }
  }

  #size(): { batchSize?: number } {
    return this.#batchSize ? { batchSize: this.#batchSize } : {};
  }

  #with(change: Document): this {
    this.assertUnused();
    this.#query = withoutUndefined({ ...this.#query, ...change }) as Query;
    return this;
  }
}

/** Whether the rest of a query can be asked for by the last `_id` that came. */
function goesOn({ sort, skip, projection, collation, min, max, returnKey, singleBatch }: Query) {
  const byId = sort instanceof Map && sort.size === 1 && sort.get('_id') === 1;
  const hasId = projection === undefined || projection._id === undefined || projection._id === 1;
  const others = [skip, collation, min, max, returnKey, singleBatch];
  return byId && hasId && others.every((one) => !one);
}

/** What is left of a query of which so many documents were given, the last of them with that `_id`. */
function restOf(query: Query, given: number, last: unknown): Document {
  if (given === 0) return query;
  const { filter, limit } = query;
  return {
    ...query,
    filter: { $and: [filter, idAfter(last)] },
    ...(limit && { limit: limit - given }),
  };
}

export function withoutUndefined(document: Document): Document {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined));
}
