import type { AccessChanged } from '../access/access-changes.ts';
import type { CredentialNotices } from '../admins/credential-notices.ts';
import { PasswordChange } from '../admins/password-change.ts';
import { OperatedOrganizationService } from '../operators/operated-organization-service.ts';
import { OperatorAccess } from '../operators/operator-access.ts';
import { OperatorAccountService } from '../operators/operator-account-service.ts';
import { OperatorSessionService } from '../operators/operator-session-service.ts';
import { OperatorTokens } from '../operators/operator-tokens.ts';
import { OrganizationListService } from '../operators/organization-list-service.ts';
import { RefreshTokens } from '../sessions/refresh-tokens.ts';
import { SessionRotation } from '../sessions/session-rotation.ts';
import type { OrganizationGrace } from '../tenants/lifecycle/organization-grace.ts';
import { OrganizationMeasurement } from '../tenants/organization-measurement.ts';
import type { createCredentials } from './credentials.ts';
import { type Foundation, tokenKeysOf } from './foundation.ts';
import type { Stores } from './stores.ts';

/** What keeps the list of organizations up to date. */
export function createMeasurement({ client, clock, logger }: Foundation, { activity }: Stores) {
  return new OrganizationMeasurement({ client, activity, clock, logger });
}

/** Operators' sessions, and who speaks for an operator. */
export function createOperatorAccess(foundation: Foundation, stores: Stores) {
  const { settings, keys, clock, ids } = foundation;
  const { operators, operatorSessions: sessions } = stores;
  const { issuer, audience, accessTtlSeconds, refreshTtlSeconds, idleTtlSeconds } = settings;
  const tokens = new OperatorTokens({
    ...{ keys: tokenKeysOf(settings), issuer, audience, ttlSeconds: accessTtlSeconds, clock },
  });
  const rotation = new SessionRotation({
    ...{ sessions, clock, ids, refreshTtlSeconds, idleTtlSeconds },
    refreshTokens: new RefreshTokens({ keys, purpose: 'tenantry operator refresh token' }),
  });
  return {
    operatorAccess: new OperatorAccess({ tokens, sessions, operators, clock }),
    operatorSessions: new OperatorSessionService({ sessions, operators, tokens, rotation }),
  };
}

type OperatorParts = ReturnType<typeof createOperatorAccess> &
  Pick<ReturnType<typeof createCredentials>, 'passwords' | 'operatorProofs'> & {
    notices: CredentialNotices;
    grace: OrganizationGrace;
    changed: AccessChanged;
  };

/** What operators do. */
export function createOperators(foundation: Foundation, stores: Stores, parts: OperatorParts) {
  const { clock, ids, logger } = foundation;
  const { operators, operatorSessions: sessions, registry, memberships, admins } = stores;
  const { passwords, notices, operatorProofs, grace, changed } = parts;
  const { credentials, reauthentication, mfa } = operatorProofs;
  const operatorAccounts = new OperatorAccountService({
    ...{ operators, sessions: parts.operatorSessions, credentials, reauthentication, passwords },
    ...{ clock, ids, logger },
    passwordChange: new PasswordChange({ accounts: operators, sessions, notices, clock }),
  });
  const operatedOrganizations = new OperatedOrganizationService({
    ...{ registry, memberships, admins, grace, changed, clock, logger },
  });
  const organizationList = new OrganizationListService({
    ...{ list: stores.organizationList, registry },
  });
  return { operatorAccounts, operatorMfa: mfa, operatedOrganizations, organizationList };
}
