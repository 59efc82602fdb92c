import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ObjectId } from 'mongodb';
import { callerOf } from '../http/authentication.ts';
import { ListQuery, listView, pageRequestOf } from '../http/pagination.ts';
import { problemResponses } from '../http/problem-details.ts';
import { idempotencyHeaders } from '../idempotency/idempotency-schemas.ts';
import { makerView } from '../members/maker-view.ts';
import type { Services } from '../services.ts';
import { ApiKeyBody, ApiKeyParams, ApiKeys, CreatedApiKey } from './api-key-schemas.ts';
import type { ApiKey } from './api-key-service.ts';

/** An organization's keys for machines. */
export const apiKeyRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { apiKeys } = services;

  app.get(
    '/org/api-keys',
    {
      config: { permission: 'api_key:write' },
      schema: {
        operationId: 'listApiKeys',
        tags: ['API keys'],
        summary: 'List the API keys',
        description: 'Oldest first, a page at a time; never with their secrets.',
        querystring: ListQuery,
        response: { 200: ApiKeys, ...problemResponses(400, 401, 403) },
      },
    },
    async (request) => {
      const { organizationId } = callerOf(request);
      return listView(await apiKeys.list(organizationId, pageRequestOf(request.query)), view);
    },
  );

  app.post(
    '/org/api-keys',
    {
      config: { permission: 'api_key:write', idempotent: true },
      schema: {
        operationId: 'createApiKey',
        tags: ['API keys'],
        summary: 'Make an API key',
        description:
          'For a machine that works for the organization. `key` is in this answer and nowhere else. You can only give it ' +
          'what you may do yourself; it stays when you leave or may do less, because it is the organization’s. An API key ' +
          'may make others within its own permissions and time. At most 100 at a time.',
        headers: idempotencyHeaders,
        body: ApiKeyBody,
        response: { 201: CreatedApiKey, ...problemResponses(400, 401, 403, 409, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { attempt } = request;
      const created = await apiKeys.create(
        callerOf(request),
        request.body,
        attempt ? { id: attempt.subjectId, earlierIds: attempt.earlierSubjectIds } : undefined,
      );
      // As with tokens (RFC 6749, 5.1): an answer with a secret is not to be kept.
      reply.header('cache-control', 'no-store');
      return reply.code(201).send({ ...view(created), key: created.text });
    },
  );

  app.delete(
    '/org/api-keys/:id',
    {
      config: { permission: 'api_key:write' },
      schema: {
        operationId: 'deleteApiKey',
        tags: ['API keys'],
        summary: 'End an API key',
        description:
          'It stops working: at once here, within a second on every instance. You can only end keys that may do no more ' +
          'than you. Keys it made stay; `created_by` tells which.',
        params: ApiKeyParams,
        response: {
          204: { description: 'The key has ended.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await apiKeys.delete(callerOf(request), new ObjectId(request.params.id));
      return reply.code(204).send(null);
    },
  );
};

function view({ key, maker }: ApiKey) {
  return {
    id: key._id.toHexString(),
    name: key.name,
    prefix: key.prefix,
    permissions: key.permissions,
    created_at: key.created_at.toISOString(),
    created_by: makerView(maker),
    expires_at: key.expires_at?.toISOString() ?? null,
    last_used_at: key.last_used_at?.toISOString() ?? null,
  };
}
