import { isIP } from 'node:net';

/** A mail server, and how to sign in to it. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte (`smtps:`) instead of STARTTLS. */
  readonly implicitTls: boolean;
  readonly credentials?: { readonly user: string; readonly pass: string };
}

/** What an SMTP_URL says, or why it says nothing. The fault never holds a part of it: any part may be the password. */
export type SmtpUrlReading = { readonly server: SmtpServer } | { readonly fault: string };

/** RFC 6409 and RFC 8314: where mail is submitted. */
const DEFAULT_PORTS = { 'smtp:': 587, 'smtps:': 465 } as const;

/** Reads `smtp://user:password@host:port` or `smtps://…`; user name and password are percent-encoded. */
export function readSmtpUrl(text: string): SmtpUrlReading {
  const rule = 'must be smtp://[user:password@]host[:port], or the same with smtps://';
  const url = /\s/.test(text) ? null : URL.parse(text);
  if (url === null || (url.protocol !== 'smtp:' && url.protocol !== 'smtps:'))
    return { fault: rule };
  if (/[?#]/.test(text) || !['', '/'].includes(url.pathname))
    return { fault: `${rule}, and nothing after that; special characters are percent-encoded` };
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (!isHost(host) || url.port === '0') return { fault: rule };
  const server = {
    host,
    port: url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port),
    implicitTls: url.protocol === 'smtps:',
  };
  if (url.username === '' && url.password === '') return { server };
  const user = decoded(url.username);
  const pass = decoded(url.password);
  if (!user || !pass)
    return { fault: `${rule}; user name and password come together, percent-encoded` };
  return { server: { ...server, credentials: { user, pass } } };
}

function isHost(host: string): boolean {
  return isIP(host) !== 0 || host.split('.').every((label) => /^[\w-]{1,63}$/.test(label));
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
