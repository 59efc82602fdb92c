import type { AccountRemoval } from '../../admins/account-removal.ts';
import type { AdminStore } from '../../admins/admin-store.ts';
import type { Clock } from '../../clock.ts';
import type { Belongings } from '../../database/belongings.ts';
import type { IdSource } from '../../ids.ts';
import type { Logger } from '../../logging/logger.ts';
import type { MembershipStore } from '../../members/membership-store.ts';
import type { OperationClaim } from '../../registry/operation-claim.ts';
import type { OperationStore } from '../../registry/operation-store.ts';
import type { OrganizationDocument } from '../../registry/organization-document.ts';
import type { RegistryStore } from '../../registry/registry-store.ts';
import type { SessionStore } from '../../sessions/session-store.ts';
import type { TenantCollections } from '../tenant-collections.ts';
import type { FaultInjector } from './fault-points.ts';

/** What the lifecycle operations work with. */
export interface LifecycleDeps {
  registry: RegistryStore;
  operations: OperationStore;
  collections: TenantCollections;
  admins: AdminStore;
  accounts: AccountRemoval;
  memberships: MembershipStore;
  sessions: SessionStore;
  belongings: Belongings;
  clock: Clock;
  ids: IdSource;
  logger: Logger;
  faults: FaultInjector;
  /** Names this process in leases; unique to it. */
  instanceId: string;
}

/** The claim under which an operation found on a document may be worked on. */
export function claimOf(organization: OrganizationDocument): OperationClaim {
  const { operation } = organization;
  if (operation === undefined) throw new Error('the organization has no operation under way');
  return {
    organizationId: organization._id,
    operationId: operation._id,
    attempt: operation.attempts,
  };
}
