import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Secrets } from '../config/secrets.ts';
import type { Logger } from '../logging/logger.ts';
import { MailNotConfiguredError } from './mail-errors.ts';
import type { Mailer } from './mailer.ts';
import { OutboxMailer } from './outbox-mailer.ts';
import { SmtpMailer } from './smtp-mailer.ts';

const OUTBOX = 'outbox';

/** What stands in where there is no mail server: says so. */
export const noMailer: Mailer = {
  send: async () => {
    throw new MailNotConfiguredError();
  },
};

/**
 * The mailer that the settings ask for: SMTP; or files, in development and tests without SMTP_URL; or none, in production
 * without SMTP_URL.
 *
 * @returns the mailer, to be disposed of last of all that sends mails
 */
export function createMailer(
  { mail, dataDir }: Pick<Config, 'mail' | 'dataDir'>,
  secrets: Secrets,
  logger: Logger,
  clock: Clock = systemClock,
): Mailer & Partial<AsyncDisposable> {
  const { from, delivery } = mail;
  if (secrets.smtpUrl !== undefined) return new SmtpMailer({ url: secrets.smtpUrl, from, clock });
  if (delivery === 'none') return noMailer;
  return new OutboxMailer({ directory: join(dataDir, OUTBOX), from, clock, logger });
}
