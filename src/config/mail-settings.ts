import { isLoopback } from './loopback.ts';
import { type Mailbox, readMailbox } from './mailbox.ts';
import type { SettingReader } from './setting-reader.ts';
import { readSmtpUrl } from './smtp-url.ts';

/** How mails leave, and what they say of where the service is. */
export interface MailConfig {
  /** `outbox`: into files, for developers. `none`: sending fails. */
  readonly delivery: 'smtp' | 'outbox' | 'none';
  /** Host and port of SMTP_URL, for the log. */
  readonly server?: string;
  readonly from: Mailbox;
  /** What links in mails begin with, without a slash at the end. */
  readonly publicUrl: string;
}

const DEVELOPMENT_SENDER: Mailbox = { name: 'Tenantry', address: 'no-reply@localhost' };

/** Where the settings for mail are read for. */
interface MailSurroundings {
  production: boolean;
  host: string;
  port: number;
  warnings: string[];
}

/** Reads SMTP_URL, MAIL_FROM and PUBLIC_URL. The URL itself is a secret, and comes back apart. */
export function readMail(
  reader: SettingReader,
  { production, host, port, warnings }: MailSurroundings,
): { mail: MailConfig; smtpUrl?: string } {
  const smtpUrl = reader.text('SMTP_URL');
  const server = smtpUrl === undefined ? undefined : readServer(reader, smtpUrl);
  const from = readSender(reader, smtpUrl !== undefined);
  const publicUrl = readPublicUrl(reader, production && smtpUrl !== undefined, warnings);
  if (production && smtpUrl === undefined)
    warnings.push(
      'SMTP_URL is not set, so no mail is sent: what has to be confirmed by mail (invitations, a forgotten password, ' +
        'a new e-mail address) does not work.',
    );
  const delivery = smtpUrl === undefined ? (production ? 'none' : 'outbox') : 'smtp';
  return {
    mail: {
      delivery,
      ...(server !== undefined && { server }),
      from,
      publicUrl: publicUrl ?? ownUrl(host, port),
    },
    ...(smtpUrl !== undefined && { smtpUrl }),
  };
}

function readServer(reader: SettingReader, smtpUrl: string): string | undefined {
  const reading = readSmtpUrl(smtpUrl);
  if ('server' in reading) return `${reading.server.host}:${reading.server.port}`;
  reader.fault('SMTP_URL', reading.fault);
  return undefined;
}

function readSender(reader: SettingReader, required: boolean): Mailbox {
  const text = reader.checked('MAIL_FROM', (value) =>
    readMailbox(value) === undefined
      ? 'must be one address, or "name <address>" (RFC 5322)'
      : undefined,
  );
  if (required && reader.text('MAIL_FROM') === undefined)
    reader.fault('MAIL_FROM', 'must be set when SMTP_URL is: the address that mails come from');
  return (text === undefined ? undefined : readMailbox(text)) ?? DEVELOPMENT_SENDER;
}

function readPublicUrl(
  reader: SettingReader,
  strict: boolean,
  warnings: string[],
): string | undefined {
  const value = reader.checked('PUBLIC_URL', publicUrlFault);
  const url = value === undefined ? null : URL.parse(value);
  if (strict && reader.text('PUBLIC_URL') === undefined)
    reader.fault('PUBLIC_URL', 'must be set in production when SMTP_URL is: links begin with it');
  if (url === null) return undefined;
  if (strict && url.protocol === 'http:' && !isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1')))
    warnings.push(
      'PUBLIC_URL is plain http: whoever is on the way can read the tokens in the links of mails. Use https.',
    );
  return url.href.replace(/\/+$/, '');
}

function publicUrlFault(value: string): string | undefined {
  const url = /\s/.test(value) ? null : URL.parse(value);
  const isWeb = url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
  if (isWeb && !/[?#]/.test(value) && url.username === '' && url.password === '') return undefined;
  return 'must be an absolute http or https URL without user, query or fragment';
}

/** A service that listens on every address is at least on this machine. */
function ownUrl(host: string, port: number): string {
  if (['0.0.0.0', '::'].includes(host)) return `http://localhost:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
