import type { Mailbox } from '../../../src/config/mailbox.ts';
import type { MailMessage } from '../../../src/mail/mailer.ts';
import { SmtpMailer } from '../../../src/mail/smtp-mailer.ts';

export const FROM: Mailbox = { name: 'Tenantry', address: 'no-reply@tenantry.example' };
export const LINK = 'https://tenantry.example/invite#token=s3cret-t0ken';
export const NOW = new Date('2026-11-23T09:30:00.123Z');
export const CLOCK = { now: () => NOW, monotonicMs: () => 0 };

/** A mail with a secret in it. */
export function someMail(overrides: Partial<MailMessage> = {}): MailMessage {
  return {
    kind: 'invitation',
    to: 'ada@acme.example',
    subject: 'Invitation to join Acme',
    text: `Accept:\n${LINK}\n`,
    html: `<p>Accept: <a href="${LINK}">${LINK}</a></p>\n`,
    link: LINK,
    ...overrides,
  };
}

/** A mailer to a server on this machine. */
export function mailerTo(
  { port }: { port: number },
  { scheme = 'smtp', user = '', host = '127.0.0.1', patienceMs = 10_000 } = {},
): SmtpMailer {
  const url = `${scheme}://${user === '' ? '' : `${user}@`}${host}:${port}`;
  return new SmtpMailer({ url, from: FROM, clock: CLOCK, patienceMs });
}
