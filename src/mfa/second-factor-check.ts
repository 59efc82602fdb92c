import type { AccountDocument } from '../admins/admin-document.ts';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import type { Logger } from '../logging/logger.ts';
import { stepOfCode } from './authenticator.ts';
import { parseMfaCode } from './mfa-code.ts';
import { InvalidCodeError, MfaRequiredError } from './mfa-errors.ts';
import type { RecoveryCodes } from './recovery-codes.ts';
import type { SecondFactorStore } from './second-factor-store.ts';
import type { TotpDocument } from './totp-document.ts';
import type { TotpSecrets } from './totp-secrets.ts';

type FactorHolder = Pick<AccountDocument, '_id' | 'totp'>;

interface SecondFactorCheckDeps {
  factors: SecondFactorStore;
  secrets: TotpSecrets;
  recoveryCodes: RecoveryCodes;
  clock: Clock;
  ids: IdSource;
  logger: Logger;
}

/**
 * Asks for the second factor of those who have one. Only to be asked after the password was found right: so nobody who
 * does not know it learns whether there is a factor, or gets to guess codes.
 */
export class SecondFactorCheck {
  readonly #deps: SecondFactorCheckDeps;

  constructor(deps: SecondFactorCheckDeps) {
    this.#deps = deps;
  }

  /**
   * Uses a code up. For an account without a second factor the code means nothing, and nothing is done.
   *
   * @param account - as just read, with the password proven
   * @param code - as given; none and a blank one are the same, as a form sends a field that was left empty
   * @throws MfaRequiredError, InvalidCodeError
   */
  async prove(account: FactorHolder, code: string | undefined): Promise<void> {
    if (account.totp === undefined) return;
    if (code === undefined || code.trim() === '') throw new MfaRequiredError();
    const parsed = parseMfaCode(code);
    const used =
      parsed !== undefined &&
      (await (parsed.kind === 'totp'
        ? this.#useTotp(account, account.totp, parsed.code)
        : this.#useRecovery(account, account.totp, parsed.code)));
    if (!used) throw new InvalidCodeError();
  }

  async #useTotp({ _id: adminId }: FactorHolder, totp: TotpDocument, code: string) {
    const { secrets, factors, clock, ids, logger } = this.#deps;
    const opened = secrets.open(totp.secret, adminId);
    if (opened === undefined) {
      logger.error(
        { admin_id: adminId.toHexString() },
        'the secret of a second factor cannot be opened: JWT_SECRET was replaced without its predecessor being kept, or the secret was changed',
      );
      return false;
    }
    const step = stepOfCode(opened.secret, code, clock.now());
    if (step === undefined) return false;
    const secret = opened.outdated ? secrets.seal(opened.secret, adminId) : undefined;
    return factors.useStep({ adminId, factorId: totp.id }, step, { id: ids.objectId(), secret });
  }

  #useRecovery({ _id: adminId }: FactorHolder, totp: TotpDocument, code: string) {
    const { recoveryCodes, factors, ids } = this.#deps;
    const hashes = recoveryCodes.possibleHashes(code, adminId);
    return factors.useRecoveryCode({ adminId, factorId: totp.id }, hashes, ids.objectId());
  }
}
