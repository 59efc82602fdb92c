import { DatabaseFactReader } from '../metrics/database-facts.ts';
import { PoolMeter } from '../metrics/pool-meter.ts';
import { ServiceMetrics } from '../metrics/service-metrics.ts';
import type { createAccessCaches } from './access-caches.ts';
import type { createCredentials } from './credentials.ts';
import type { Foundation } from './foundation.ts';
import type { createLifecycle } from './lifecycle.ts';
import type { createSessions } from './sessions.ts';
import type { Stores } from './stores.ts';

interface MeasuredParts {
  passwords: ReturnType<typeof createCredentials>['passwords'];
  mailTasks: ReturnType<typeof createSessions>['mailTasks'];
  recovery: ReturnType<typeof createLifecycle>['recovery'];
  budget: ReturnType<typeof createLifecycle>['budget'];
  accessCaches: ReturnType<typeof createAccessCaches>;
}

/** What is measured, of everything else that has been made. */
export function createMetrics(
  { client, clock, logger }: Foundation,
  { registry }: Stores,
  { passwords, mailTasks, recovery, budget, accessCaches }: MeasuredParts,
): ServiceMetrics {
  const { sessionAccess, keyAccess } = accessCaches;
  return new ServiceMetrics({
    ...{ passwords, mails: mailTasks, pool: new PoolMeter(client) },
    caches: {
      get session() {
        return sessionAccess.use;
      },
      get api_key() {
        return keyAccess.use;
      },
    },
    facts: new DatabaseFactReader({
      ...{ clock, logger },
      countByState: () => registry.countByState(),
      operations: () => recovery.operations(),
      collections: () => budget.usage(),
    }),
  });
}
