import type { FastifyPluginAsync } from 'fastify';
import { AppError } from '../errors.ts';
import { ALWAYS_ANSWERS } from '../http/always-answers.ts';
import { sendProblem } from '../http/problem-details.ts';
import type { ScrapeAccess } from './scrape-access.ts';
import type { ServiceMetrics } from './service-metrics.ts';

class MetricsTokenRequiredError extends AppError {
  constructor() {
    super(
      'unauthenticated',
      'authentication_required',
      'The metrics are for whoever has METRICS_TOKEN: Authorization: Bearer <token>.',
    );
  }
}

interface MetricsRouteOptions {
  metrics: ServiceMetrics;
  access: ScrapeAccess;
}

/** `GET /metrics`, for Prometheus. No part of the API, so not in its document. */
export const metricsRoutes: FastifyPluginAsync<MetricsRouteOptions> = async (
  app,
  { metrics, access },
) => {
  // All methods: whoever may not read the metrics is told nothing of them, not even by a 405.
  app.all(
    '/metrics',
    {
      schema: { hide: true },
      config: ALWAYS_ANSWERS,
      onRequest: async (request, reply) => {
        const decision = access.decide(request);
        if (decision === 'unauthenticated') throw new MetricsTokenRequiredError();
        if (decision === 'hidden') return reply.callNotFound();
        if (request.method === 'GET' || request.method === 'HEAD') return;
        reply.header('allow', 'GET, HEAD');
        return sendProblem(request, reply, 405, 'Method not allowed', {
          code: 'method_not_allowed',
          message: `${request.method} is not possible here. Allowed: GET, HEAD.`,
        });
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store').type(metrics.contentType);
      return metrics.text();
    },
  );
};
