import type { Readiness } from '../health/readiness.ts';
import type { InvitationAcceptance } from '../invitations/invitation-acceptance.ts';
import type { Logger } from '../logging/logger.ts';
import type { MemberChanges } from '../members/member-changes.ts';
import { RepeatingTask } from '../repeating-task.ts';
import type { OrganizationGrace } from '../tenants/lifecycle/organization-grace.ts';
import type { OrganizationMeasurement } from '../tenants/organization-measurement.ts';
import type { Reconciliation } from '../tenants/reconciliation.ts';
import type { Recovery } from '../tenants/recovery.ts';

/** How often this instance looks for operations that another one left unfinished. */
const RECOVERY_INTERVAL_MS = 500;
/** How often the registry and the collections are compared. */
const RECONCILIATION_INTERVAL_MS = 10 * 60 * 1_000;
/** How often this instance looks for deleted organizations whose grace period is over. */
const PURGE_INTERVAL_MS = 30 * 1_000;
/** How often this instance looks for organizations to measure. */
const MEASUREMENT_INTERVAL_MS = 60 * 1_000;
/** How often it is written down when sessions and API keys were last used. */
const LAST_USE_INTERVAL_MS = 60 * 1_000;

interface BackgroundParts {
  recovery: Recovery;
  grace: OrganizationGrace;
  memberChanges: MemberChanges;
  acceptance: InvitationAcceptance;
  reconciliation: Reconciliation;
  readiness: Readiness;
  recordLastUse: () => Promise<void>;
  measurement: OrganizationMeasurement;
}

/** What an instance does again and again, whether or not anybody asks. */
export function createBackground(logger: Logger, parts: BackgroundParts) {
  const { recovery, memberChanges, acceptance, reconciliation, readiness } = parts;
  const { grace, recordLastUse, measurement } = parts;
  return {
    recovery: new RepeatingTask({
      ...{ name: 'recovery', everyMs: RECOVERY_INTERVAL_MS, logger },
      task: async () => {
        await recovery.recoverExpired();
        await recovery.removeLateTraces();
        await memberChanges.finishInterrupted();
        await acceptance.finishInterrupted();
        readiness.recovered();
      },
    }),
    reconciliation: new RepeatingTask({
      ...{ name: 'reconciliation', everyMs: RECONCILIATION_INTERVAL_MS, logger },
      task: () => reconciliation.run(),
    }),
    purge: new RepeatingTask({
      ...{ name: 'purging of deleted organizations', everyMs: PURGE_INTERVAL_MS, logger },
      task: () => grace.purgeDue(),
    }),
    measurement: new RepeatingTask({
      ...{ name: 'measuring of organizations', everyMs: MEASUREMENT_INTERVAL_MS, logger },
      task: () => measurement.run(),
    }),
    lastUse: new RepeatingTask({
      ...{ name: 'recording of last use', everyMs: LAST_USE_INTERVAL_MS, logger },
      task: recordLastUse,
    }),
  };
}
