import type { FastifyInstance } from 'fastify';

/**
 * One line for every request, when it has been answered. The route rather than the path, and no query string: either may
 * hold what nobody should keep, such as a token that somebody put in the wrong place.
 */
export function addRequestLogging(app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
    const path = request.routeOptions.url ?? '(no route)';
    const { caller } = request;
    request.log.info(
      {
        method: request.method,
        path,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        ...(caller && {
          organization_id: caller.organizationId.toHexString(),
          ...(caller.kind === 'member'
            ? { admin_id: caller.adminId.toHexString() }
            : { api_key_id: caller.apiKeyId.toHexString() }),
        }),
      },
      `${request.method} ${path} ${reply.statusCode}`,
    );
  });
}
