import type { AccessChanged } from '../access/access-changes.ts';
import { AccountStore } from '../admins/account-store.ts';
import {
  EMAIL_CHANGES,
  EmailChangeStore,
  PASSWORD_RESETS,
  PasswordResetStore,
} from '../admins/account-token-store.ts';
import type { AccountDocument } from '../admins/admin-document.ts';
import { ADMINS, AdminStore } from '../admins/admin-store.ts';
import { API_KEYS, ApiKeyStore } from '../api-keys/api-key-store.ts';
import { Belongings } from '../database/belongings.ts';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { IDEMPOTENCY_KEYS, IdempotencyStore } from '../idempotency/idempotency-store.ts';
import { INVITATIONS, InvitationStore } from '../invitations/invitation-store.ts';
import { MEMBERSHIPS, MembershipStore } from '../members/membership-store.ts';
import { SecondFactorStore } from '../mfa/second-factor-store.ts';
import { OPERATORS, type OperatorDocument } from '../operators/operator-document.ts';
import { OPERATOR_SESSIONS, OperatorSessionStore } from '../operators/operator-session-store.ts';
import { RATE_LIMITS, RateLimitStore } from '../rate-limits/rate-limit-store.ts';
import { ActivityStore } from '../registry/activity-store.ts';
import { OperationStore } from '../registry/operation-store.ts';
import { OrganizationListStore } from '../registry/organization-list-store.ts';
import { ORGANIZATIONS, RegistryStore } from '../registry/registry-store.ts';
import { ROLES, RoleStore } from '../roles/role-store.ts';
import { SESSIONS, SessionStore } from '../sessions/session-store.ts';
import { TenantCollections } from '../tenants/tenant-collections.ts';
import type { Foundation } from './foundation.ts';

/** Every collection of the master database. */
export const MASTER_COLLECTIONS: readonly MasterCollection[] = [
  ORGANIZATIONS,
  ADMINS,
  MEMBERSHIPS,
  SESSIONS,
  ROLES,
  API_KEYS,
  INVITATIONS,
  PASSWORD_RESETS,
  EMAIL_CHANGES,
  IDEMPOTENCY_KEYS,
  RATE_LIMITS,
  OPERATORS,
  OPERATOR_SESSIONS,
];

export type Stores = ReturnType<typeof createStores>;

interface StoreParts extends Pick<Foundation, 'client' | 'master'> {
  settings: Pick<Foundation['settings'], 'masterDatabase'>;
}

/** Everything that knows a query. @param changed - told by those that hold what access is decided by */
export function createStores({ client, master, settings }: StoreParts, changed: AccessChanged) {
  const operators = masterCollection<OperatorDocument>(master, OPERATORS);
  return {
    registry: new RegistryStore(master),
    operations: new OperationStore(master),
    organizationList: new OrganizationListStore(master),
    activity: new ActivityStore(master),
    admins: new AdminStore(master),
    memberships: new MembershipStore(master, changed),
    sessions: new SessionStore(master, changed),
    operators: new AccountStore(operators),
    operatorSessions: new OperatorSessionStore(master),
    operatorFactors: new SecondFactorStore(operators),
    roles: new RoleStore(master, changed),
    apiKeys: new ApiKeyStore(master, changed),
    invitations: new InvitationStore(master),
    passwordResets: new PasswordResetStore(master),
    emailChanges: new EmailChangeStore(master),
    secondFactors: new SecondFactorStore(masterCollection<AccountDocument>(master, ADMINS)),
    idempotency: new IdempotencyStore(master),
    rateLimits: new RateLimitStore(master),
    collections: new TenantCollections(client, settings.masterDatabase),
    belongings: new Belongings({
      ...{ master, changed, collections: MASTER_COLLECTIONS },
      owners: { organization: ORGANIZATIONS, admin: ADMINS },
    }),
  };
}
