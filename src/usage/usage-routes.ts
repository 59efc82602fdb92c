import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { callerOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import { Usage } from './usage-schemas.ts';

/** What an organization uses. */
export const usageRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  app.get(
    '/org/usage',
    {
      config: { permission: 'usage:read' },
      schema: {
        operationId: 'getUsage',
        tags: ['Usage'],
        summary: 'Read what the organization uses',
        description: 'From counters of the database, so that it can be asked often.',
        response: { 200: Usage, ...problemResponses(400, 401, 403, 404) },
      },
    },
    async (request) => {
      const { records, bytes, indexes, members, quota, ...rest } = await services.usage.of(
        callerOf(request).organizationId,
      );
      return {
        ...{ records, bytes, storage_bytes: rest.storageBytes },
        ...{ indexes, index_bytes: rest.indexBytes, members, quota },
        measured_at: rest.measuredAt.toISOString(),
      };
    },
  );
};
