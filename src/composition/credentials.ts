import type { AccountStore } from '../admins/account-store.ts';
import type { AccountDocument, AdminDocument } from '../admins/admin-document.ts';
import { CredentialCheck } from '../admins/credential-check.ts';
import { PasswordHasher, PasswordQueueFullError } from '../admins/password-hasher.ts';
import { Reauthentication } from '../admins/reauthentication.ts';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import { MfaService } from '../mfa/mfa-service.ts';
import { RecoveryCodes } from '../mfa/recovery-codes.ts';
import { SecondFactorCheck } from '../mfa/second-factor-check.ts';
import type { SecondFactorStore } from '../mfa/second-factor-store.ts';
import { TotpSecrets } from '../mfa/totp-secrets.ts';
import type { OperatorDocument } from '../operators/operator-document.ts';
import { GuessLimits } from '../rate-limits/guess-limits.ts';
import { KnownNetworks } from '../rate-limits/known-networks.ts';
import { LimitKeys } from '../rate-limits/limit-keys.ts';
import type { RateLimitStore } from '../rate-limits/rate-limit-store.ts';
import { RouteLimits } from '../rate-limits/route-limits.ts';
import { Turns } from '../rate-limits/turns.ts';
import type { AccountSessionStore } from '../sessions/account-session-store.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** So many sign-ins to one account from one address may wait for each other. */
const MOST_SIGN_INS_WAITING = 100;

/** What authenticator apps show as the origin of a code. */
const TOTP_ISSUER = 'Tenantry';
const OPERATOR_TOTP_ISSUER = 'Tenantry operators';

/** How people prove who they are, and what keeps others from guessing it: members, and operators in the same way. */
export function createCredentials(foundation: Foundation, stores: Stores) {
  const { settings, keys, clock, ids } = foundation;
  const { admins, sessions, secondFactors, operators, operatorSessions, operatorFactors } = stores;
  const passwords = new PasswordHasher({ cost: settings.bcryptCost });
  const limiting = {
    ...{ store: stores.rateLimits, keys: new LimitKeys({ keys }), clock, ids },
    enabled: settings.rateLimits,
  };
  const shared = {
    ...{ passwords, limiting, totpSecrets: new TotpSecrets({ keys }) },
    recoveryCodes: new RecoveryCodes({ keys }),
    turns: new Turns({
      maxWaiting: MOST_SIGN_INS_WAITING,
      tooMany: () => new PasswordQueueFullError(),
    }),
  };
  const members = createProofs<AdminDocument>(foundation, shared, {
    ...{ accounts: admins, sessions, factors: secondFactors, issuer: TOTP_ISSUER },
  });
  const ofOperators = createProofs<OperatorDocument>(foundation, shared, {
    ...{ kind: 'operator', accounts: operators, sessions: operatorSessions },
    ...{ factors: operatorFactors, issuer: OPERATOR_TOTP_ISSUER },
  });
  const routeLimits = new RouteLimits(limiting);
  return { passwords, routeLimits, ...members, operatorProofs: ofOperators };
}

/** What is one for all kinds of accounts. */
interface SharedParts {
  passwords: PasswordHasher;
  limiting: {
    store: RateLimitStore;
    keys: LimitKeys;
    clock: Clock;
    ids: IdSource;
    enabled: boolean;
  };
  totpSecrets: TotpSecrets;
  recoveryCodes: RecoveryCodes;
  turns: Turns;
}

/** One kind of account. */
interface AccountKind<T extends AccountDocument> {
  kind?: string;
  accounts: AccountStore<T>;
  sessions: AccountSessionStore;
  factors: SecondFactorStore;
  issuer: string;
}

function createProofs<T extends AccountDocument>(
  { clock, ids, logger }: Foundation,
  { passwords, limiting, totpSecrets, recoveryCodes, turns }: SharedParts,
  { kind, accounts, sessions, factors, issuer }: AccountKind<T>,
) {
  const guesses = new GuessLimits({
    ...{
      ...limiting,
      accounts,
      knownNetworks: new KnownNetworks({ ...limiting, accounts }),
      turns,
    },
    ...(kind !== undefined && { kind }),
  });
  const factorParts = { factors, secrets: totpSecrets, recoveryCodes, clock, ids };
  const secondFactors = new SecondFactorCheck({ ...factorParts, logger });
  const credentials = new CredentialCheck<T>({ accounts, passwords, secondFactors, guesses });
  const reauthentication = new Reauthentication<T>({ accounts, credentials });
  const mfa = new MfaService({ ...factorParts, accounts, sessions, reauthentication, issuer });
  return { guesses, credentials, reauthentication, mfa };
}
