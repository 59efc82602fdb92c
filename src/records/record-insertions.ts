import type { ObjectId } from 'mongodb';
import type { AppError } from '../errors.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';
import { QuotaExceededError } from '../usage/quota-errors.ts';
import type { RecordQuota } from '../usage/quota-service.ts';
import { amountOf, holds } from './record-changes.ts';
import type { StoredRecord } from './record-document.ts';
import { RecordExistsError, refusalOf } from './record-errors.ts';

/** A record to be made; `isGiven` tells that its `_id` is the caller's. */
export interface NewRecord {
  record: StoredRecord;
  isGiven: boolean;
}

interface ManyTarget {
  collection: TenantCollection;
  quota: RecordQuota;
  organizationId: ObjectId;
}

/**
 * Makes many records, each by itself.
 *
 * @param isRepeated - whether an attempt whose answer got lost may have made them
 * @returns why one was refused, at its place
 */
export async function insertMany(
  { collection, quota, organizationId }: ManyTarget,
  records: readonly NewRecord[],
  isRepeated: boolean,
): Promise<(AppError | undefined)[]> {
  const refusals = new Array<AppError | undefined>(records.length).fill(undefined);
  if (records.length === 0) return refusals;
  const documents = records.map(({ record }) => Object.fromEntries(record.fields));
  const written = await quota.withRoomForSome(
    organizationId,
    records.map(({ record }) => amountOf(record)),
    (count) => collection.insertEach(documents.slice(0, count)),
  );
  for (const failure of written.result ?? []) refusals[failure.index] = refusalOf(failure);
  if (written.refusal !== undefined) refusals.fill(written.refusal, written.count);
  if (!isRepeated) return refusals;
  return Promise.all(
    records.map(async (one, at) => {
      const refusal = refusals[at];
      return refusal !== undefined && (await isOwn(collection, one, refusal)) ? undefined : refusal;
    }),
  );
}

/** Whether an earlier attempt made the record: it is there, or what it took is why there is no room. */
async function isOwn(
  collection: TenantCollection,
  { record, isGiven }: NewRecord,
  refusal: AppError,
): Promise<boolean> {
  if (refusal instanceof RecordExistsError) return !isGiven || holds(collection, record);
  return refusal instanceof QuotaExceededError && holds(collection, record);
}
