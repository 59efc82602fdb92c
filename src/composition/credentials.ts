import { CredentialCheck } from '../admins/credential-check.ts';
import { PasswordHasher, PasswordQueueFullError } from '../admins/password-hasher.ts';
import { Reauthentication } from '../admins/reauthentication.ts';
import { MfaService } from '../mfa/mfa-service.ts';
import { RecoveryCodes } from '../mfa/recovery-codes.ts';
import { SecondFactorCheck } from '../mfa/second-factor-check.ts';
import { TotpSecrets } from '../mfa/totp-secrets.ts';
import { GuessLimits } from '../rate-limits/guess-limits.ts';
import { KnownNetworks } from '../rate-limits/known-networks.ts';
import { LimitKeys } from '../rate-limits/limit-keys.ts';
import { RouteLimits } from '../rate-limits/route-limits.ts';
import { Turns } from '../rate-limits/turns.ts';
import type { Foundation } from './foundation.ts';
import type { Stores } from './stores.ts';

/** So many sign-ins to one account from one address may wait for each other. */
const MOST_SIGN_INS_WAITING = 100;

/** What authenticator apps show as the origin of a code. */
const TOTP_ISSUER = 'Tenantry';

/** How people prove who they are, and what keeps others from guessing it. */
export function createCredentials(foundation: Foundation, stores: Stores) {
  const { settings, keys, clock, ids, logger } = foundation;
  const { admins, sessions, rateLimits: store, secondFactors: factors } = stores;
  const passwords = new PasswordHasher({ cost: settings.bcryptCost });
  const limiting = {
    ...{ store, keys: new LimitKeys({ keys }), clock, ids },
    enabled: settings.rateLimits,
  };
  const routeLimits = new RouteLimits(limiting);
  const guesses = new GuessLimits({
    ...{ ...limiting, admins, knownNetworks: new KnownNetworks({ ...limiting, admins }) },
    turns: new Turns({
      maxWaiting: MOST_SIGN_INS_WAITING,
      tooMany: () => new PasswordQueueFullError(),
    }),
  });
  const mfaParts = {
    ...{ factors, secrets: new TotpSecrets({ keys }), recoveryCodes: new RecoveryCodes({ keys }) },
    ...{ clock, ids },
  };
  const secondFactors = new SecondFactorCheck({ ...mfaParts, logger });
  const credentials = new CredentialCheck({ admins, passwords, secondFactors, guesses });
  const reauthentication = new Reauthentication({ admins, credentials });
  const mfa = new MfaService({
    ...mfaParts,
    ...{ admins, sessions, reauthentication, issuer: TOTP_ISSUER },
  });
  return { passwords, routeLimits, guesses, credentials, reauthentication, mfa };
}
