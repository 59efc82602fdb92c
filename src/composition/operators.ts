import type { CredentialNotices } from '../admins/credential-notices.ts';
import { PasswordChange } from '../admins/password-change.ts';
import { OperatorAccess } from '../operators/operator-access.ts';
import { OperatorAccountService } from '../operators/operator-account-service.ts';
import { OperatorSessionService } from '../operators/operator-session-service.ts';
import { OperatorTokens } from '../operators/operator-tokens.ts';
import { RefreshTokens } from '../sessions/refresh-tokens.ts';
import { SessionRotation } from '../sessions/session-rotation.ts';
import type { createCredentials } from './credentials.ts';
import { type Foundation, tokenKeysOf } from './foundation.ts';
import type { Stores } from './stores.ts';

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
  };

/** What operators do. */
export function createOperators(foundation: Foundation, stores: Stores, parts: OperatorParts) {
  const { clock, ids, logger } = foundation;
  const { operators, operatorSessions: sessions } = stores;
  const { passwords, notices, operatorProofs } = parts;
  const { credentials, reauthentication, mfa } = operatorProofs;
  const operatorAccounts = new OperatorAccountService({
    ...{ operators, sessions: parts.operatorSessions, credentials, reauthentication, passwords },
    ...{ clock, ids, logger },
    passwordChange: new PasswordChange({ accounts: operators, sessions, notices, clock }),
  });
  return { operatorAccounts, operatorMfa: mfa };
}
