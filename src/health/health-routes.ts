import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Services } from '../services.ts';

const Live = Type.Object({ status: Type.Literal('ok') });

const Check = Type.Object({
  ok: Type.Boolean(),
  reason: Type.Optional(Type.String()),
});

const Readiness = Type.Object({
  status: Type.Enum(['ready', 'not_ready']),
  checks: Type.Object({ database: Check, indexes: Check, recovery: Check }),
});

/** For load balancers and orchestrators. */
export const healthRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  app.get(
    '/health/live',
    {
      schema: {
        operationId: 'live',
        tags: ['Health'],
        summary: 'Whether the process is alive',
        response: { 200: Live },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/health/ready',
    {
      schema: {
        operationId: 'ready',
        tags: ['Health'],
        summary: 'Whether requests can be served',
        description:
          'The database answers, the indexes are built, and what a crash left has been looked at.',
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (_request, reply) => {
      const checks = await services.readiness.check();
      const ready = Object.values(checks).every(({ ok }) => ok);
      reply.header('cache-control', 'no-store');
      if (!ready) reply.header('retry-after', 2);
      return reply
        .code(ready ? 200 : 503)
        .send({ status: ready ? ('ready' as const) : ('not_ready' as const), checks });
    },
  );
};
