import type { Clock } from '../clock.ts';
import type { MailTasks } from '../mail/mail-tasks.ts';
import { emailChangedMail, passwordChangedMail } from '../mail/messages.ts';

/** What somebody signs in with, before and after a change. */
export interface CredentialsChanged {
  /** The address before: it is known to be the person's. */
  email: string;
  newEmail?: string | undefined;
  newPassword: boolean;
}

interface CredentialNoticesDeps {
  mailTasks: MailTasks;
  publicUrl: string;
  clock: Clock;
}

/** Tells people by mail, in the background, that what they sign in with was changed (OWASP ASVS 5.0, 6.3.7). */
export class CredentialNotices {
  readonly #deps: CredentialNoticesDeps;

  constructor(deps: CredentialNoticesDeps) {
    this.#deps = deps;
  }

  /** Call it after the change. Never fails and never waits. */
  changed({ email: to, newEmail, newPassword }: CredentialsChanged): void {
    const { mailTasks, publicUrl, clock } = this.#deps;
    const changedAt = clock.now();
    if (newPassword)
      mailTasks.add('password_changed', () => passwordChangedMail({ to, publicUrl, changedAt }));
    if (newEmail !== undefined && newEmail !== to)
      mailTasks.add('email_changed', () => emailChangedMail({ to, newEmail, changedAt }));
  }
}
