import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Document } from 'mongodb';
import type {
  TenantCollection,
  UpdateStatement,
  WriteFailure,
  WriteOutcome,
} from '../tenants/tenant-collection.ts';
import type { Amount } from '../usage/usage-ledger.ts';
import { type EntityTags, matches } from './entity-tags.ts';
import { exactOf } from './record-bytes.ts';
import { isSame, type StoredRecord } from './record-document.ts';
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
export const MAX_ATTEMPTS = 60;
/** At most, between two attempts. */
const MAX_PAUSE_MS = 40;

/** An organization's records, and the room there is for more of them. */
export interface RecordTarget {
  collection: TenantCollection;
  /** See `RecordQuota`. @throws QuotaExceededError */
  withRoom: <T>(adding: Amount, write: () => Promise<T>) => Promise<T>;
}

/** Reads, changes and writes, until nobody has come in between. */
export async function change(
  { collection, withRoom }: RecordTarget,
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
    const adding = { records: 0, bytes: Math.max(0, next.bytes.length - current.length) };
    const { n, failures, repeated } = await withRoom(adding, () =>
      write(collection, replacement(unchanged(current), next)),
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
export async function createAbsent(
  { collection, withRoom }: RecordTarget,
  record: StoredRecord,
): Promise<StoredRecord> {
  const [failure] = await withRoom(amountOf(record), () =>
    collection.insertEach([Object.fromEntries(record.fields)]),
  );
  if (failure === undefined) return record;
  const refusal = refusalOf(failure);
  throw refusal instanceof RecordExistsError ? new RecordChangedError() : refusal;
}

/** What a record that is new adds. */
export function amountOf({ bytes }: StoredRecord): Amount {
  return { records: 1, bytes: bytes.length };
}

export async function find(
  collection: TenantCollection,
  id: unknown,
): Promise<Uint8Array | undefined> {
  const { documents } = await explainingRefusal(() =>
    collection.commands.firstBatch((name) => ({
      find: name,
      filter: { _id: { $eq: id } },
      limit: 1,
    })),
  );
  return documents[0];
}

export function write(
  collection: TenantCollection,
  statement: UpdateStatement,
): Promise<WriteOutcome> {
  return explainingRefusal(() => collection.update([statement], { repeatable: true }));
}

/** The record keeps its `_id` by itself. */
export function replacement(q: Document, { fields }: StoredRecord): UpdateStatement {
  const rest = new Map([...fields].filter(([name]) => name !== '_id'));
  return { q, u: rest as unknown as Document };
}

/** Holds for the very document that was read. The server compares, field for field in their order. */
export function unchanged(bytes: Uint8Array): Document {
  const document = exactOf(bytes);
  return {
    _id: { $eq: document.get('_id') },
    $expr: { $eq: ['$$ROOT', { $literal: document }] },
  };
}

export function absent(ifMatch: EntityTags | undefined): Error {
  return ifMatch === undefined ? new RecordNotFoundError() : new RecordChangedError();
}

export function throwFirst([failure]: readonly WriteFailure[]): void {
  if (failure !== undefined) throw refusalOf(failure);
}

/** Whether this very record is stored. */
export async function holds(collection: TenantCollection, record: StoredRecord): Promise<boolean> {
  const found = await find(collection, record.fields.get('_id'));
  return found !== undefined && isSame(found, record.bytes);
}
