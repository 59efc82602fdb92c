import { BUILD_WAIT_MS, IndexService, MAX_INDEXES } from '../indexes/index-service.ts';
import { IndexStore } from '../indexes/index-store.ts';
import { RecordSchemaService } from '../record-schema/record-schema-service.ts';
import { RecordSchemaStore } from '../record-schema/record-schema-store.ts';
import { EXACT_TYPES } from '../records/extended-json.ts';
import { TenantDirectory } from '../tenants/tenant-directory.ts';
import { MemberQuota } from '../usage/member-quota.ts';
import { NO_QUOTA, QuotaService } from '../usage/quota-service.ts';
import { UsageService } from '../usage/usage-service.ts';
import { UsageStore } from '../usage/usage-store.ts';
import type { createAccessCaches } from './access-caches.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** What works with the organizations' own data. */
export function createRecords(
  { client, settings, clock, logger }: Foundation,
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
  return {
    ...{ directory, quotas },
    memberQuota: new MemberQuota({ quotas, memberships }),
    usage: new UsageService({ usage: usageStore, quotas, memberships, clock }),
    recordSchemas: new RecordSchemaService({
      store: new RecordSchemaStore({ directory, collections }),
    }),
    indexes: new IndexService({
      ...{ store: new IndexStore({ directory }), limit, buildWaitMs, logger },
    }),
  };
}
