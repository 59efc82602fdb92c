import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { ALWAYS_ANSWERS } from '../http/always-answers.ts';
import { problemResponse } from '../http/problem-details.ts';
import type { Services } from '../services.ts';

const Live = Type.Object({ status: Type.Literal('ok') }, { description: 'It is alive.' });

const Check = Type.Object({
  ok: Type.Boolean(),
  reason: Type.Optional(Type.String({ examples: ['does not answer'] })),
});

function readiness(description: string) {
  return Type.Object(
    {
      status: Type.Enum(['ready', 'not_ready']),
      checks: Type.Object({ database: Check, indexes: Check, recovery: Check, running: Check }),
    },
    { description },
  );
}

/** For load balancers and orchestrators. */
export const healthRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  app.get(
    '/health/live',
    {
      config: ALWAYS_ANSWERS,
      schema: {
        operationId: 'live',
        tags: ['Health'],
        summary: 'Whether the process is alive',
        description: 'Says nothing about the database: a restart would not mend that.',
        response: { 200: Live, 400: problemResponse(400) },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/health/ready',
    {
      config: ALWAYS_ANSWERS,
      schema: {
        operationId: 'ready',
        tags: ['Health'],
        summary: 'Whether requests can be served',
        description:
          'The database answers, the indexes are built, what a crash left has been looked at, and the service is not about to ' +
          'stop. Says of each whether it is so, and if not, why.',
        response: {
          200: readiness('Everything is as it has to be.'),
          400: problemResponse(400),
          503: readiness('Not yet, or not at present: what is missing, and why.'),
        },
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
