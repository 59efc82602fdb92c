import type { Mailer, MailMessage } from '../../src/mail/mailer.ts';

/** Keeps mails in place of sending them. The mail feature's own tests speak SMTP instead. */
export class RecordingMailer implements Mailer {
  readonly sent: MailMessage[] = [];
  /** What sending fails with, while there is something. */
  failure: Error | undefined;
  /** Runs before a mail is kept: whatever is to happen while somebody waits for it. */
  meanwhile: (() => Promise<unknown>) | undefined;

  async send(message: MailMessage): Promise<void> {
    await this.meanwhile?.();
    if (this.failure !== undefined) throw this.failure;
    this.sent.push(message);
  }

  /** What was sent to an address, oldest first. */
  to(address: string): MailMessage[] {
    return this.sent.filter(({ to }) => to === address);
  }
}

/** The token in the link of the latest of some mails. */
export function tokenIn(mails: readonly Pick<MailMessage, 'text'>[]): string {
  const token = /#token=([\w-]{43})$/m.exec(mails.at(-1)?.text ?? '')?.[1];
  if (token === undefined) throw new Error('there is no mail with a link');
  return token;
}
