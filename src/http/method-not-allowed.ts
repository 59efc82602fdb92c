import type { FastifyInstance, FastifyPluginAsync, HTTPMethods } from 'fastify';
import { sendProblem } from './problem-details.ts';

/**
 * Answers 405 with `Allow` (RFC 9110, 15.5.6) where a path exists but not with that method; a router alone says 404.
 *
 * @param app - before its routes are registered
 * @returns the plugin to register after them
 */
export function methodNotAllowed(app: FastifyInstance): FastifyPluginAsync {
  const methodsByUrl = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    // Swagger UI's own files, which register some of their paths twice.
    if (url.startsWith('/docs')) return;
    const methods = methodsByUrl.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    methodsByUrl.set(url, methods);
  });
  return async (scope) => {
    for (const [url, allowed] of [...methodsByUrl]) {
      const refused = scope.supportedMethods.filter((one) => !allowed.has(one)) as HTTPMethods[];
      const allow = [...allowed].sort().join(', ');
      if (refused.length > 0) addRefusal(scope, url, refused, allow);
    }
  };
}

function addRefusal(app: FastifyInstance, url: string, method: HTTPMethods[], allow: string): void {
  app.route({
    url,
    method,
    schema: { hide: true },
    // Before the body is read: it is of no interest.
    onRequest: async (request, reply) => {
      reply.header('allow', allow);
      return sendProblem(request, reply, 405, 'Method not allowed', {
        code: 'method_not_allowed',
        message: `${request.method} is not possible here. Allowed: ${allow}.`,
      });
    },
    handler: async () => {},
  });
}
