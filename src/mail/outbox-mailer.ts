import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import nodemailer, { type StreamSentMessageInfo, type Transporter } from 'nodemailer';
import type { Clock } from '../clock.ts';
import type { Mailbox } from '../config/mailbox.ts';
import type { Logger } from '../logging/logger.ts';
import { MailUnavailableError } from './mail-errors.ts';
import type { Mailer, MailMessage } from './mailer.ts';
import { mimeOf } from './mime.ts';

interface OutboxMailerDeps {
  /** Made when needed. */
  directory: string;
  from: Mailbox;
  clock: Clock;
  logger: Logger;
}

/**
 * For development, in place of a mail server: keeps each mail as a file that mail programs open (`.eml`, RFC 5322), and
 * logs its recipient and its link. Never for production: the link is a secret.
 */
export class OutboxMailer implements Mailer {
  readonly #deps: OutboxMailerDeps;
  readonly #transport: Transporter<StreamSentMessageInfo>;

  constructor(deps: OutboxMailerDeps) {
    this.#deps = deps;
    this.#transport = nodemailer.createTransport({ streamTransport: true, buffer: true });
  }

  /** @throws MailUnavailableError when the file cannot be written */
  async send(message: MailMessage): Promise<void> {
    const { from, clock, logger, directory } = this.#deps;
    const now = clock.now();
    const { message: eml } = await this.#transport.sendMail(mimeOf(message, from, now));
    const file = join(directory, fileName(message, now));
    await this.#write(file, eml);
    logger.info(`mail to ${message.to}: ${message.link ?? message.subject} (${file})`);
  }

  /** The file appears whole or not at all, and only its owner can read it. */
  async #write(file: string, eml: StreamSentMessageInfo['message']): Promise<void> {
    const draft = `${file}.part`;
    try {
      await mkdir(this.#deps.directory, { recursive: true, mode: 0o700 });
      await writeFile(draft, eml, { mode: 0o600, flag: 'wx' });
      await rename(draft, file);
    } catch (error) {
      await rm(draft, { force: true }).catch(() => {});
      throw new MailUnavailableError(error);
    }
  }
}

/** Sorts by time. The random end keeps mails of one instant apart. */
function fileName({ kind }: MailMessage, time: Date): string {
  const stamp = time.toISOString().replaceAll(/[-:]/g, '');
  return `${stamp}-${kind.replaceAll('_', '-')}-${randomBytes(3).toString('hex')}.eml`;
}
