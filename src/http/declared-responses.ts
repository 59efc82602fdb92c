import type { FastifyInstance } from 'fastify';

/**
 * Holds routes to their contract: one that lists no responses is refused at start, and an answer with a status the route
 * does not list is reported.
 *
 * @param report - called with the route and the status; logs, and fails the run in tests
 */
export function addDeclaredResponses(
  app: FastifyInstance,
  report: (route: string, status: number) => void,
): void {
  app.addHook('onRoute', ({ url, method, schema }) => {
    if (schema?.hide === true) return;
    if (schema?.response === undefined) throw new Error(`${method} ${url} declares no responses`);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { schema, url } = request.routeOptions;
    if (url === undefined || schema === undefined || schema.hide === true) return;
    if (!(reply.statusCode in (schema.response as object)))
      report(`${request.method} ${url}`, reply.statusCode);
  });
}
