import type { FastifyInstance } from 'fastify';

/** The proxies in front of the service: how many there are, or their addresses and networks (CIDR). */
export type TrustedProxies = number | string[];

/**
 * What Fastify is to trust. It takes no number itself (since 5.12, because a number says nothing of who is connected), so
 * whoever gives one has to see to it that nobody reaches the service but through that many proxies.
 */
export function trusted(
  proxies: TrustedProxies,
): string[] | ((address: string, hop: number) => boolean) {
  return typeof proxies === 'number' ? (_address, hop) => hop < proxies : proxies;
}

/**
 * Warns, once, when requests seem to come through a proxy that the service was not told of: every client then has the
 * proxy's address, and shares its limits with all others.
 */
export function addProxyWarning(app: FastifyInstance): void {
  let warned = false;
  app.addHook('onRequest', async (request) => {
    if (warned || request.headers['x-forwarded-for'] === undefined) return;
    warned = true;
    request.log.warn(
      'A request has X-Forwarded-For, which is not believed. If it comes from a proxy of yours, set TRUST_PROXY; until ' +
        'then all clients count as one address.',
    );
  });
}
