/** What a mail is about, for the log. */
export type MailKind =
  | 'invitation'
  | 'password_reset'
  | 'password_changed'
  | 'email_confirmation'
  | 'email_in_use'
  | 'email_changed';

/** A mail to one person. The templates in `messages.ts` make them. */
export interface MailMessage {
  readonly kind: MailKind;
  /** One address that `isEmailAddress` accepts. */
  readonly to: string;
  /** One line. */
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** The link to click, which holds a secret: only a developer's log ever shows it. */
  readonly link?: string;
}

/** Sends mails. */
export interface Mailer {
  /**
   * Hands a mail over to the next server on its way; that it arrives is not known then. Takes 10 s at most.
   *
   * @throws MailRefusedError, MailUnavailableError, MailNotConfiguredError
   */
  send(message: MailMessage): Promise<void>;
}
