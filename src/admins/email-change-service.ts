import type { ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import type { Mailer } from '../mail/mailer.ts';
import { emailConfirmationMail, emailInUseMail } from '../mail/messages.ts';
import { type TokenSource, tokenHash } from '../one-time-tokens/one-time-tokens.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import type { EmailChangeStore } from './account-token-store.ts';
import { type AdminDocument, lastChangeOf, sameChange } from './admin-document.ts';
import type { AdminStore } from './admin-store.ts';
import type { CredentialNotices } from './credential-notices.ts';

/** How long a link is good: the new mailbox may be one that is not at hand. */
const VALID_MS = 24 * 60 * 60 * 1_000;

/** Unknown, used, expired, replaced by a later one, or outlived by another change of password or e-mail address. */
export class EmailTokenInvalidError extends AppError {
  constructor() {
    const message = 'is not good, or not any more; ask for the change again';
    super('invalid', 'email_token_invalid', `token: ${message}.`, {
      errors: [{ path: '/token', message }],
    });
  }
}

interface EmailChangeServiceDeps {
  emailChanges: EmailChangeStore;
  admins: AdminStore;
  notices: CredentialNotices;
  mailer: Mailer;
  tokens: TokenSource;
  publicUrl: string;
  clock: Clock;
  ids: IdSource;
}

/**
 * The rules of moving an account to another e-mail address: it has to be confirmed by a link that is sent there. Nothing
 * says whether the address has an account already, but to whoever reads its mail.
 */
export class EmailChangeService {
  readonly #deps: EmailChangeServiceDeps;

  constructor(deps: EmailChangeServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Sends a link to the new address; a change asked for before is withdrawn. With the address the account has, that is all.
   *
   * @param admin - who has proved who they are
   * @param email - normalised
   * @param onTopOf - the change of credentials that the confirmation is to follow, if there is one under way
   * @throws MailRefusedError, MailUnavailableError, MailNotConfiguredError; nothing is pending after any of them
   */
  async request(
    admin: AdminDocument,
    email: string,
    onTopOf: ObjectId | null = lastChangeOf(admin),
  ): Promise<void> {
    const { emailChanges, admins, mailer, tokens, publicUrl, clock, ids } = this.#deps;
    if (email === admin.email) return emailChanges.remove(admin._id);
    const token = tokens.token();
    const hash = tokenHash('e-mail change', token);
    const now = clock.now();
    const expiresAt = new Date(now.getTime() + VALID_MS);
    await emailChanges.put({
      ...{ _id: ids.objectId(), admin_id: admin._id, credential_change: onTopOf },
      ...{ token_hash: hash, email, created_at: now, expires_at: expiresAt },
    });
    const [holder, owner] = await Promise.all([
      admins.findByEmail(email),
      admins.findById(admin._id),
    ]);
    // The account was removed meanwhile, and what belongs to it before this did.
    if (owner === null) {
      await emailChanges.remove(admin._id);
      throw new InvalidTokenError();
    }
    const taken = holder !== null;
    try {
      await mailer.send(
        taken
          ? emailInUseMail({ to: email })
          : emailConfirmationMail({ to: email, publicUrl, token, expiresAt }),
      );
    } catch (error) {
      await emailChanges.remove(admin._id, hash);
      throw error;
    }
  }

  /** @returns the address that waits to be confirmed, if any */
  async pendingOf(admin: AdminDocument): Promise<string | null> {
    const { emailChanges, clock } = this.#deps;
    const found = await emailChanges.findOf(admin._id, clock.now());
    if (found === null || !sameChange(found.credential_change, lastChangeOf(admin))) return null;
    return found.email ?? null;
  }

  /** Makes the address the account's, once. @throws EmailTokenInvalidError, EmailTakenError */
  async confirm(token: string): Promise<void> {
    const { emailChanges, admins, notices, clock, ids } = this.#deps;
    const now = clock.now();
    const found = await emailChanges.findGood(tokenHash('e-mail change', token), now);
    const admin = found && (await admins.findById(found.admin_id));
    const { email: newEmail, credential_change: seen } = found ?? {};
    if (admin === null || newEmail === undefined || seen === undefined)
      throw new EmailTokenInvalidError();
    const { _id, email } = admin;
    if (!(await admins.changeOnTopOf(_id, seen, { email: newEmail }, ids.objectId(), now)))
      throw new EmailTokenInvalidError();
    notices.changed({ email, newEmail, newPassword: false });
  }
}
