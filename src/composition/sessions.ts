import { AccountService } from '../admins/account-service.ts';
import { CredentialNotices } from '../admins/credential-notices.ts';
import { EmailChangeService } from '../admins/email-change-service.ts';
import { LoginService } from '../admins/login-service.ts';
import { PasswordChange } from '../admins/password-change.ts';
import { PasswordResetService } from '../admins/password-reset-service.ts';
import { MailTasks } from '../mail/mail-tasks.ts';
import type { OperatorAccess } from '../operators/operator-access.ts';
import { AccessTokens } from '../sessions/access-tokens.ts';
import { RefreshTokens } from '../sessions/refresh-tokens.ts';
import { SessionRotation } from '../sessions/session-rotation.ts';
import { SessionService } from '../sessions/session-service.ts';
import { createAccess } from './access.ts';
import type { createAccessCaches } from './access-caches.ts';
import type { createCredentials } from './credentials.ts';
import { type Foundation, tokenKeysOf } from './foundation.ts';
import type { Stores } from './stores.ts';

interface SessionParts extends ReturnType<typeof createCredentials> {
  operatorAccess: OperatorAccess;
  accessCaches: ReturnType<typeof createAccessCaches>;
}

/** Who is signed in, with what, and what they may do. */
export function createSessions(foundation: Foundation, stores: Stores, parts: SessionParts) {
  const { settings, keys, clock, ids, tokens, mailer, logger } = foundation;
  const { registry, admins, memberships, sessions: sessionStore } = stores;
  const { credentials, reauthentication, passwords, guesses, accessCaches } = parts;
  const { issuer, audience, accessTtlSeconds, refreshTtlSeconds, idleTtlSeconds } = settings;

  const accessTokens = new AccessTokens({
    ...{ keys: tokenKeysOf(settings), issuer, audience, ttlSeconds: accessTtlSeconds, clock },
  });
  const sessions = new SessionService({
    ...{ sessions: sessionStore, registry, memberships, admins, accessTokens, clock },
    rotation: new SessionRotation({
      ...{ sessions: sessionStore, refreshTokens: new RefreshTokens({ keys }), clock, ids },
      ...{ refreshTtlSeconds, idleTtlSeconds },
    }),
  });
  const logins = new LoginService({ admins, memberships, registry, sessions, credentials });

  const mailTasks = new MailTasks({ mailer, logger });
  const links = { mailer, mailTasks, tokens, publicUrl: settings.publicUrl, clock, ids };
  const notices = new CredentialNotices({ mailTasks, publicUrl: settings.publicUrl, clock });
  const passwordResets = new PasswordResetService({
    ...{ ...links, resets: stores.passwordResets, notices, passwords, guesses },
    ...{ admins, memberships, registry, sessions: sessionStore },
  });
  const emailChanges = new EmailChangeService({
    ...{ ...links, emailChanges: stores.emailChanges, admins, notices },
  });
  const accounts = new AccountService({
    ...{ admins, memberships, registry, reauthentication, passwords, emailChanges, clock, ids },
    passwordChange: new PasswordChange({
      ...{ accounts: admins, sessions: sessionStore, notices, clock },
    }),
  });

  const { access, recordLastUse } = createAccess(clock, stores, {
    ...{ accessTokens, accessCaches, operators: parts.operatorAccess },
  });
  return {
    ...{ access, accessTokens, sessions, logins, accounts, passwordResets, emailChanges },
    ...{ links, notices, mailTasks, recordLastUse },
  };
}
