import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { isLoopback } from '../config/loopback.ts';

/** `hidden`: as if there were nothing. `unauthenticated`: a token is needed, and this is none. */
export type ScrapeDecision = 'granted' | 'hidden' | 'unauthenticated';

/** What proxies tell of whom they speak for. */
const FORWARDING_HEADERS = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
];

/**
 * Who may read the metrics: whoever has the token, or, while none is set, this machine itself. A proxy on this machine
 * connects from it as well, for the whole world: so without a token a request that a proxy has touched is refused, and all are
 * where a proxy is known to stand in front.
 */
export class ScrapeAccess {
  readonly #token: Buffer | undefined;
  readonly #behindProxy: boolean;

  constructor(options: { token?: string | undefined; behindProxy: boolean }) {
    this.#token = options.token === undefined ? undefined : digest(options.token);
    this.#behindProxy = options.behindProxy;
  }

  decide({ headers, socket }: Pick<FastifyRequest, 'headers' | 'socket'>): ScrapeDecision {
    if (this.#token !== undefined) {
      const [, given = ''] = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? [];
      return timingSafeEqual(digest(given), this.#token) ? 'granted' : 'unauthenticated';
    }
    if (this.#behindProxy || FORWARDING_HEADERS.some((name) => headers[name] !== undefined))
      return 'hidden';
    // A name in Host that is not this machine's: a proxy that passes it on, or a page whose name leads here (DNS rebinding).
    const isLocal = isLoopbackAddress(socket.remoteAddress) && isLoopback(hostOf(headers.host));
    return isLocal ? 'granted' : 'hidden';
  }
}

/** Of one length, whatever is compared, so that the time tells nothing. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isLoopbackAddress(address = ''): boolean {
  // How a socket for both families shows IPv4.
  const bare = address.replace(/^::ffff:/i, '');
  return isIP(bare) !== 0 && isLoopback(bare);
}

/** Without port and brackets. */
function hostOf(header = ''): string {
  return header.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
