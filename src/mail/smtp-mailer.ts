import nodemailer, {
  type NodemailerError,
  type SMTPPoolOptions,
  type Transporter,
} from 'nodemailer';
import type { Clock } from '../clock.ts';
import { isLoopback } from '../config/loopback.ts';
import type { Mailbox } from '../config/mailbox.ts';
import { readSmtpUrl, type SmtpServer } from '../config/smtp-url.ts';
import { MailRefusedError, MailUnavailableError } from './mail-errors.ts';
import type { Mailer, MailMessage } from './mailer.ts';
import { mimeOf } from './mime.ts';

/** A request waits for a mail no longer than this, whatever the server does, and however many mails wait before it. */
const PATIENCE_MS = 10_000;
/** Half of it for each step, so that the error says which one it was. */
const STEP_MS = 5_000;
const MAX_CONNECTIONS = 5;
/** Replies to RCPT TO that begin with 5 and yet are about us: bad sequence, authentication required. */
const NOT_THE_RECIPIENTS = new Set([503, 530]);
/** The server's words at these commands cannot quote a link or a password: it has seen neither. */
const HARMLESS_COMMANDS = new Set(['CONN', 'EHLO', 'HELO', 'STARTTLS', 'MAIL FROM', 'RCPT TO']);

interface SmtpMailerDeps {
  /** SMTP_URL, validated. */
  url: string;
  from: Mailbox;
  clock: Clock;
  /** In all, for one mail. */
  patienceMs?: number;
}

/** Sends mails over SMTP (RFC 5321) with a pool of connections. */
export class SmtpMailer implements Mailer, AsyncDisposable {
  readonly #deps: SmtpMailerDeps;
  readonly #transport: Transporter;

  /** @throws Error when the URL is none, which the settings have ruled out */
  constructor(deps: SmtpMailerDeps) {
    const reading = readSmtpUrl(deps.url);
    if ('fault' in reading) throw new Error(`SMTP_URL ${reading.fault}`);
    this.#deps = deps;
    this.#transport = nodemailer.createTransport({ pool: true, ...optionsFor(reading.server) });
  }

  async send(message: MailMessage): Promise<void> {
    const { from, clock, patienceMs = PATIENCE_MS } = this.#deps;
    const mime = mimeOf(message, from, clock.now());
    try {
      await this.#transport.sendMail({ ...mime, signal: AbortSignal.timeout(patienceMs) });
    } catch (error) {
      throw translated(error);
    }
  }

  /** Ends every connection; what is being sent fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.close({ force: true });
  }
}

/**
 * STARTTLS is used wherever the server offers it, and a password is never sent without. On loopback there is no one to
 * listen, and mail servers there often have a certificate that nobody vouches for.
 */
export function optionsFor(server: SmtpServer): SMTPPoolOptions {
  const { host, port, implicitTls, credentials } = server;
  const local = isLoopback(host);
  return {
    host,
    port,
    secure: implicitTls,
    ignoreTLS: !implicitTls && local,
    requireTLS: !implicitTls && !local && credentials !== undefined,
    ...(credentials && { auth: { ...credentials } }),
    maxConnections: MAX_CONNECTIONS,
    connectionTimeout: STEP_MS,
    greetingTimeout: STEP_MS,
    dnsTimeout: STEP_MS,
    socketTimeout: PATIENCE_MS,
  };
}

/** Whose fault it was. Of nodemailer's error only harmless parts go on, since its message may quote what was sent. */
function translated(error: unknown): MailRefusedError | MailUnavailableError {
  const {
    command = '',
    responseCode,
    response,
    code,
    originalCode,
    timeoutType,
  } = asNodemailerError(error);
  const reply = HARMLESS_COMMANDS.has(command) ? response : responseCode;
  const facts = [
    code,
    originalCode,
    timeoutType,
    command && `at ${command}`,
    reply && `: ${reply}`,
  ];
  const cause = new Error(`SMTP: ${facts.filter(Boolean).join(' ')}`);
  const refused = command === 'RCPT TO' && responseCode !== undefined && responseCode >= 500;
  return refused && !NOT_THE_RECIPIENTS.has(responseCode)
    ? new MailRefusedError(cause)
    : new MailUnavailableError(cause);
}

function asNodemailerError(error: unknown): NodemailerError {
  return error instanceof Error ? error : new Error(String(error));
}
