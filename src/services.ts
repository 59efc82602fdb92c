import type { MongoClient, ObjectId } from 'mongodb';
import { createAccessCaches } from './composition/access-caches.ts';
import { createBackground } from './composition/background.ts';
import { createChangeFeeds } from './composition/change-feeds.ts';
import { createCredentials } from './composition/credentials.ts';
import {
  createFoundation,
  type ServiceSettings,
  type ServiceSources,
} from './composition/foundation.ts';
import { createLifecycle } from './composition/lifecycle.ts';
import { createMetrics } from './composition/metrics.ts';
import {
  createMeasurement,
  createOperatorAccess,
  createOperators,
} from './composition/operators.ts';
import { createOrganizations } from './composition/organizations.ts';
import { createRecords } from './composition/records.ts';
import { createSessions } from './composition/sessions.ts';
import { createStores, MASTER_COLLECTIONS } from './composition/stores.ts';
import { ensureIndexes } from './database/collections.ts';
import { Readiness } from './health/readiness.ts';
import { IdempotencyService } from './idempotency/idempotency-service.ts';
import type { Logger } from './logging/logger.ts';
import type { ServiceMetrics } from './metrics/service-metrics.ts';
import { collectionReference } from './registry/organization-document.ts';
import { Stopping } from './stopping.ts';
import { TenantCollection } from './tenants/tenant-collection.ts';

export type Services = ReturnType<typeof createServices>;

/**
 * The composition root: together with `composition/`, the only place where services are made. The service, the command
 * line, tests and benchmarks all use it.
 *
 * @param client - connected or not; stays the caller's to close
 */
export function createServices(
  client: MongoClient,
  settings: ServiceSettings,
  logger: Logger,
  sources: Partial<ServiceSources> = {},
) {
  const foundation = createFoundation(client, settings, logger, sources);
  const accessCaches = createAccessCaches(foundation);
  const stores = createStores(foundation, accessCaches.changed);
  const credentials = createCredentials(foundation, stores);
  const lifecycle = createLifecycle(foundation, stores);
  const operatorAccess = createOperatorAccess(foundation, stores);
  const sessions = createSessions(foundation, stores, {
    ...{ ...credentials, ...operatorAccess, accessCaches },
  });
  const operators = createOperators(foundation, stores, {
    ...{ ...credentials, ...operatorAccess, notices: sessions.notices },
    ...{ grace: lifecycle.grace, changed: accessCaches.changed },
  });
  const records = createRecords(foundation, stores, accessCaches);
  const organizations = createOrganizations(foundation, stores, {
    ...{ ...credentials, ...lifecycle, ...sessions, ...records, accounts: lifecycle.accounts },
  });
  const changeFeeds = createChangeFeeds(foundation, stores, records);
  const stopping = new Stopping();
  // Their clients are told to come back, and leave, while the others are still served.
  stopping.signal.addEventListener('abort', () => void changeFeeds[Symbol.asyncDispose]());
  const readiness = new Readiness({ client, stopping });
  let metrics: ServiceMetrics | undefined;
  const { keys, ids } = foundation;
  const { recovery, reconciliation, grace } = lifecycle;
  const { mailTasks, recordLastUse } = sessions;
  const measurement = createMeasurement(foundation, stores);
  const background = createBackground(logger, {
    ...{ ...organizations, recovery, reconciliation, readiness, recordLastUse },
    ...{ measurement, grace },
  });

  return {
    ...credentials,
    ...sessions,
    ...organizations,
    ...records,
    ...operatorAccess,
    ...operators,
    signup: settings.signup ?? 'open',
    ...{ recovery, reconciliation, readiness, changeFeeds, stopping, measurement, grace },
    idempotency: new IdempotencyService({ store: stores.idempotency, ids, keys }),

    /** Made when it is first asked for: measuring costs something, and only who serves requests is measured. */
    get metrics(): ServiceMetrics {
      metrics ??= createMetrics(foundation, stores, {
        ...{ ...credentials, ...lifecycle, ...sessions, accessCaches },
      });
      return metrics;
    },

    /** An organization's data. @throws OrganizationNotFoundError */
    async tenantCollection(id: ObjectId): Promise<TenantCollection> {
      const found = await organizations.organizations.findServing(id);
      const reference = collectionReference(found);
      if (reference === undefined) throw new Error('a serving organization has a collection');
      return new TenantCollection(client, reference);
    },

    /** Builds the indexes, ends what a crash left, and keeps looking for more of it. */
    async start(): Promise<void> {
      await ensureIndexes(foundation.master, MASTER_COLLECTIONS);
      readiness.indexesBuilt();
      await credentials.passwords.warmUp();
      if (settings.firstOperator !== undefined)
        await operators.operatorAccounts.ensureFirst(settings.firstOperator);
      accessCaches.changes.start();
      await background.recovery.start();
      // In the background: it reads the whole registry, and nothing waits for what it finds.
      void background.reconciliation.start();
      void background.lastUse.start();
      void background.measurement.start();
      void background.purge.start();
    },

    async [Symbol.asyncDispose](): Promise<void> {
      stopping.begin();
      const writeLastUse = async () => {
        await background.lastUse[Symbol.asyncDispose]();
        await recordLastUse().catch((error: unknown) =>
          logger.warn({ err: error }, 'could not record last use'),
        );
      };
      // At once: together they have as long as the slowest of them needs.
      await Promise.all([
        changeFeeds[Symbol.asyncDispose](),
        accessCaches.changes[Symbol.asyncDispose](),
        writeLastUse(),
        background.recovery[Symbol.asyncDispose](),
        background.reconciliation[Symbol.asyncDispose](),
        background.measurement[Symbol.asyncDispose](),
        background.purge[Symbol.asyncDispose](),
        mailTasks[Symbol.asyncDispose](),
      ]);
    },
  };
}
