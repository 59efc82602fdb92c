import type { ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';
import type { StoredPassword } from '../registry/organization-document.ts';
import type { AccountSessionStore } from '../sessions/account-session-store.ts';
import type { AccountStore } from './account-store.ts';
import { type AccountDocument, lastChangeOf } from './admin-document.ts';
import { CredentialsChangedError } from './admin-errors.ts';
import type { CredentialNotices } from './credential-notices.ts';

interface PasswordChangeDeps {
  accounts: AccountStore;
  sessions: AccountSessionStore;
  notices: CredentialNotices;
  clock: Clock;
}

/** What a new password does to an account of whatever kind, once the present one has been proved. */
export class PasswordChange {
  readonly #deps: PasswordChangeDeps;

  constructor(deps: PasswordChangeDeps) {
    this.#deps = deps;
  }

  /**
   * Replaces the password, ends every session but the one that asked, and tells the person by mail.
   *
   * @param account - as it was when the present password was proved
   * @param changeId - names this change
   * @throws CredentialsChangedError when another change came first; nothing has changed then
   */
  async run(account: AccountDocument, { sessionId, password, changeId }: Change): Promise<void> {
    const { accounts, sessions, notices, clock } = this.#deps;
    const { _id, email } = account;
    await sessions.admitTo(changeId, sessionId);
    const fields = { password, session_era: changeId };
    const seen = lastChangeOf(account);
    if (!(await accounts.changeOnTopOf(_id, seen, fields, changeId, clock.now())))
      throw new CredentialsChangedError();
    await sessions.endBefore(_id, changeId);
    notices.changed({ email, newPassword: true });
  }
}

interface Change {
  sessionId: ObjectId;
  password: StoredPassword;
  changeId: ObjectId;
}
