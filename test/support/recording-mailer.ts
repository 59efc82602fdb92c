import type { Mailer, MailMessage } from '../../src/mail/mailer.ts';

/** Keeps mails in place of sending them. The mail feature's own tests speak SMTP instead. */
export class RecordingMailer implements Mailer {
  readonly sent: MailMessage[] = [];

  async send(message: MailMessage): Promise<void> {
    this.sent.push(message);
  }

  /** What was sent to an address, oldest first. */
  to(address: string): MailMessage[] {
    return this.sent.filter(({ to }) => to === address);
  }
}
