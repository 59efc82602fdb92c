import { EXACT_TYPES } from '../records/extended-json.ts';
import { RecordBatch } from '../records/record-batch.ts';
import { RecordReader } from '../records/record-reader.ts';
import { RecordService } from '../records/record-service.ts';
import { TenantDirectory } from '../tenants/tenant-directory.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** What one query of the organization's own making may take of the server. */
const QUERY_LIMIT_MS = 5_000;

/** What works with the organizations' own data. */
export function createRecords({ client, clock, ids }: Foundation, { registry }: Stores) {
  const directory = new TenantDirectory({ client, registry, bson: EXACT_TYPES });
  const records = new RecordService({ directory, ids });
  const recordReader = new RecordReader({ directory, timeLimitMs: QUERY_LIMIT_MS });
  const recordBatch = new RecordBatch({ records, clock });
  return { directory, records, recordReader, recordBatch };
}
