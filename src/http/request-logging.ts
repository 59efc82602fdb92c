import type { FastifyInstance, FastifyRequest } from 'fastify';

/**
 * One line for every request, when it has been answered. The route rather than the path, and no query string: either may
 * hold what nobody should keep, such as a token that somebody put in the wrong place.
 */
export function addRequestLogging(app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
    const { url: path = '(no route)', config } = request.routeOptions;
    const { statusCode: status, problemCode: code } = reply;
    const fields = {
      method: request.method,
      path,
      status,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(code !== null && { code }),
      ...callerFields(request),
    };
    // Somebody asks every few seconds.
    const level = config.alwaysAnswers === true && status < 400 ? 'debug' : 'info';
    request.log[level](fields, `${request.method} ${path} ${status}`);
  });
}

/** Who asks, for the log: ids alone. */
export function callerFields({ caller }: FastifyRequest): Record<string, string> {
  // Undefined where a request fails before it can have a caller.
  if (!caller) return {};
  const organization_id = caller.organizationId.toHexString();
  return caller.kind === 'member'
    ? { organization_id, admin_id: caller.adminId.toHexString() }
    : { organization_id, api_key_id: caller.apiKeyId.toHexString() };
}
