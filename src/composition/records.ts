import { BUILD_WAIT_MS, IndexService, MAX_INDEXES } from '../indexes/index-service.ts';
import { IndexStore } from '../indexes/index-store.ts';
import { RecordSchemaService } from '../record-schema/record-schema-service.ts';
import { RecordSchemaStore } from '../record-schema/record-schema-store.ts';
import { EXACT_TYPES } from '../records/extended-json.ts';
import { RecordBatch } from '../records/record-batch.ts';
import { RecordReader } from '../records/record-reader.ts';
import { RecordService } from '../records/record-service.ts';
import { TenantDirectory } from '../tenants/tenant-directory.ts';
import { ExportService } from '../transfers/export-service.ts';
import { ImportService } from '../transfers/import-service.ts';
import { MemberQuota } from '../usage/member-quota.ts';
import { NO_QUOTA, QuotaService } from '../usage/quota-service.ts';
import { UsageService } from '../usage/usage-service.ts';
import { UsageStore } from '../usage/usage-store.ts';
import type { createAccessCaches } from './access-caches.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** What one query of the organization's own making may take of the server. */
const QUERY_LIMIT_MS = 5_000;

/** What works with the organizations' own data. */
export function createRecords(
  { client, settings, clock, ids, logger }: Foundation,
  { registry, memberships, collections }: Stores,
  { quotas: quotaCache }: Pick<ReturnType<typeof createAccessCaches>, 'quotas'>,
) {
  const directory = new TenantDirectory({ client, registry, bson: EXACT_TYPES });
  const usageStore = new UsageStore({ directory });
  const { defaultQuota: defaults = NO_QUOTA, maxIndexes: limit = MAX_INDEXES } = settings;
  const { indexBuildWaitMs: buildWaitMs = BUILD_WAIT_MS } = settings;
  const quotas = new QuotaService({
    ...{ registry, usage: usageStore, quotas: quotaCache, defaults, clock },
  });
  const records = new RecordService({ directory, quota: quotas, ids });
  return {
    ...{ directory, quotas, records },
    recordReader: new RecordReader({ directory, timeLimitMs: QUERY_LIMIT_MS }),
    recordBatch: new RecordBatch({ records, clock }),
    memberQuota: new MemberQuota({ quotas, memberships }),
    usage: new UsageService({ usage: usageStore, quotas, memberships, clock }),
    recordSchemas: new RecordSchemaService({
      store: new RecordSchemaStore({ directory, collections }),
    }),
    indexes: new IndexService({
      ...{ store: new IndexStore({ directory }), limit, buildWaitMs, logger },
    }),
    imports: new ImportService({ directory, quota: quotas, clock }),
    exports: new ExportService({ directory, clock, ids }),
  };
}
