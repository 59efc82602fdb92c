import { InvalidCodeError } from '../mfa/mfa-errors.ts';
import type { SecondFactorCheck } from '../mfa/second-factor-check.ts';
import type { GuessLimits } from '../rate-limits/guess-limits.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import type { AccountStore } from './account-store.ts';
import { type AccountDocument, type AdminDocument, normalizeEmail } from './admin-document.ts';
import { InvalidCredentialsError } from './admin-errors.ts';
import { type PasswordHasher, PasswordQueueFullError } from './password-hasher.ts';

/** What a person proves with who they are. */
export interface Proof {
  email: string;
  password: string;
  /** Of an authenticator app, or a recovery code; means nothing for an account without a second factor. */
  code?: string;
}

interface CredentialCheckDeps<T extends AccountDocument> {
  accounts: AccountStore<T>;
  passwords: PasswordHasher;
  secondFactors: SecondFactorCheck;
  guesses: GuessLimits;
}

/**
 * The one place where a password is compared with an account's, of each kind of account. Signing in, signing up with an account that exists,
 * accepting an invitation and changing a password all go through it, so that none of them can be used to guess around
 * what holds for the others.
 */
export class CredentialCheck<T extends AccountDocument = AdminDocument> {
  readonly #deps: CredentialCheckDeps<T>;

  constructor(deps: CredentialCheckDeps<T>) {
    this.#deps = deps;
  }

  /**
   * Takes the same time and gives the same answer whether the account exists or not (OWASP ASVS 6.3.8).
   *
   * @param client - where the request comes from, by which failures are counted
   * @throws InvalidCredentialsError, PasswordQueueFullError, TooManyAttemptsError; MfaRequiredError and InvalidCodeError
   *   only after the right password
   */
  verify(proof: Proof, client: SessionClient): Promise<T> {
    const email = normalizeEmail(proof.email);
    return this.#deps.guesses.guard(
      { email, address: client.address },
      () => this.#compare({ ...proof, email }),
      isWrongGuess,
    );
  }

  async #compare(proof: Proof): Promise<T> {
    const { accounts, passwords } = this.#deps;
    const account = await accounts.findByEmail(proof.email);
    const verified = await passwords.verify(proof.password, account?.password);
    if (account === null || !verified) throw new InvalidCredentialsError();
    await this.#deps.secondFactors.prove(account, proof.code);
    await this.#upgradeHash(account, proof.password);
    return account;
  }

  /** Hashes of an older system, or of another cost, are replaced at the first use that proves the password. */
  async #upgradeHash(account: T, password: string): Promise<void> {
    const { accounts, passwords } = this.#deps;
    if (!passwords.needsRehash(account.password)) return;
    try {
      await accounts.upgradePassword(account, await passwords.hash(password));
    } catch (error) {
      // The password was right; the next sign-in will find a shorter queue.
      if (!(error instanceof PasswordQueueFullError)) throw error;
    }
  }
}

/** Everything else says nothing about what was sent: no code was, the queue was full, the database away. */
function isWrongGuess(error: unknown): boolean {
  return error instanceof InvalidCredentialsError || error instanceof InvalidCodeError;
}
