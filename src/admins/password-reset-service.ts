import type { ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import type { MailTasks } from '../mail/mail-tasks.ts';
import type { MailMessage } from '../mail/mailer.ts';
import { passwordResetMail } from '../mail/messages.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { type TokenSource, tokenHash } from '../one-time-tokens/one-time-tokens.ts';
import type { GuessLimits } from '../rate-limits/guess-limits.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import type { SessionStore } from '../sessions/session-store.ts';
import type { PasswordResetStore } from './account-token-store.ts';
import { lastChangeOf, normalizeEmail, sameChange } from './admin-document.ts';
import type { AdminStore } from './admin-store.ts';
import type { CredentialNotices } from './credential-notices.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { assertAcceptablePassword } from './password-policy.ts';

/** How long a link is good. */
const VALID_MS = 60 * 60 * 1_000;

/** Unknown, used, expired, replaced by a later one, or outlived by another change of password or e-mail address. */
export class ResetTokenInvalidError extends AppError {
  constructor() {
    const message = 'is not good, or not any more; ask for a new link';
    super('invalid', 'reset_token_invalid', `token: ${message}.`, {
      errors: [{ path: '/token', message }],
    });
  }
}

interface PasswordResetServiceDeps {
  resets: PasswordResetStore;
  admins: AdminStore;
  memberships: MembershipStore;
  registry: RegistryStore;
  sessions: SessionStore;
  passwords: PasswordHasher;
  guesses: GuessLimits;
  notices: CredentialNotices;
  mailTasks: MailTasks;
  tokens: TokenSource;
  publicUrl: string;
  clock: Clock;
  ids: IdSource;
}

/**
 * The rules of replacing a forgotten password: by a link to the account's e-mail address. A second factor stays in force.
 *
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Forgot_Password_Cheat_Sheet.html
 */
export class PasswordResetService {
  readonly #deps: PasswordResetServiceDeps;

  constructor(deps: PasswordResetServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Sends a link to the address, if it has an account. Does nothing before it returns, so neither the answer nor its time
   * says whether there is one.
   */
  forgot(email: string): void {
    this.#deps.mailTasks.add('password_reset', () => this.#compose(normalizeEmail(email)));
  }

  /**
   * Replaces the password, once, ends every session of the person, and forgets what was guessed at the account before.
   *
   * @throws ResetTokenInvalidError, InvalidFieldError, PasswordTooCommonError, PasswordQueueFullError; the token stays
   *   good after all but the first
   */
  async reset(token: string, password: string, { address }: SessionClient): Promise<void> {
    const { resets, admins, passwords, sessions, guesses, notices, clock, ids } = this.#deps;
    const found = await resets.findGood(tokenHash('password reset', token), clock.now());
    const admin = found && (await admins.findById(found.admin_id));
    const seen = found?.credential_change ?? null;
    if (admin === null || !sameChange(seen, lastChangeOf(admin)))
      throw new ResetTokenInvalidError();
    const { _id, email } = admin;
    const organizationNames = await this.#organizationNames(_id);
    assertAcceptablePassword(password, { emails: [email], organizationNames });
    const changeId = ids.objectId();
    // With the era the sessions end, in the same update.
    const change = { password: await passwords.hash(password), session_era: changeId };
    if (!(await admins.changeOnTopOf(_id, seen, change, changeId, clock.now())))
      throw new ResetTokenInvalidError();
    await sessions.endBefore(_id, changeId);
    // Not where there is a second factor: whoever reads the mailbox could guess its codes without end.
    if (admin.totp === undefined) await guesses.forgive(admin, address);
    notices.changed({ email, newPassword: true });
  }

  async #compose(email: string): Promise<MailMessage | undefined> {
    const { resets, admins, tokens, publicUrl, clock, ids } = this.#deps;
    const admin = await admins.findByEmail(email);
    if (admin === null) return undefined;
    const token = tokens.token();
    const now = clock.now();
    const expiresAt = new Date(now.getTime() + VALID_MS);
    await resets.put({
      ...{ _id: ids.objectId(), admin_id: admin._id, credential_change: lastChangeOf(admin) },
      ...{ token_hash: tokenHash('password reset', token), created_at: now, expires_at: expiresAt },
    });
    // The account was removed meanwhile, and what belongs to it before this did.
    if ((await admins.findById(admin._id)) === null) {
      await resets.remove(admin._id);
      return undefined;
    }
    return passwordResetMail({ to: admin.email, publicUrl, token, expiresAt });
  }

  async #organizationNames(adminId: ObjectId): Promise<string[]> {
    const { memberships, registry } = this.#deps;
    const joined = await memberships.ofAdmin(adminId);
    const found = await registry.findVisible(joined.map((one) => one.organization_id));
    return found.map((one) => one.organization_name);
  }
}
