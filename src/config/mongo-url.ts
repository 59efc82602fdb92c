import { MongoClient } from 'mongodb';

/** Where a connection string points, or why it is none. */
export type MongoUrlReading = { readonly address: string } | { readonly fault: string };

const CREDENTIALS = /\/\/[^/?]*@/;
const HOSTS = /\/\/([^/?]*)/;
const SECRET_OPTION = /password|token/i;

/**
 * Has the driver read a connection string, options included, without connecting.
 *
 * @returns the host names, for the log, or a fault. Neither holds a password: the driver's own message may quote any
 *   part of the string, so it is passed on only for a string that is refused without its credentials too.
 */
export function readMongoUrl(url: string): MongoUrlReading {
  const rule = 'must be a MongoDB connection string (mongodb:// or mongodb+srv://)';
  if (/\s/.test(url)) return { fault: `${rule} without white space` };
  try {
    return { address: addressOf(url) };
  } catch {
    return { fault: `${rule}${reasonFor(url)}` };
  }
}

function addressOf(url: string): string {
  const { hosts, srvHost } = new MongoClient(url).options;
  return srvHost ?? hosts.map(String).join(',');
}

function reasonFor(url: string): string {
  const bare = url.replace(CREDENTIALS, '//');
  if (SECRET_OPTION.test(bare)) return '';
  try {
    if (!bare.includes('@')) addressOf(bare);
    return '; in its user name and password, characters such as : / ? # [ ] @ % must be percent-encoded';
  } catch (error) {
    return error instanceof Error ? `: ${withoutHosts(error.message, bare)}` : '';
  }
}

/** Whoever forgets the host has written the password where the port belongs: `mongodb://me:secret`. */
function withoutHosts(message: string, url: string): string {
  const hosts = HOSTS.exec(url)?.[1]?.split(',') ?? [];
  return hosts
    .filter((host) => host.includes(':'))
    .reduce((text, host) => text.replaceAll(host, '<host>'), message);
}
