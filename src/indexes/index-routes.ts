import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { callerOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import { jsonOf } from '../records/extended-json.ts';
import { addRecordBodies } from '../records/record-bodies.ts';
import type { Services } from '../services.ts';
import { ID_INDEX, type IndexDefinition } from './index-definition.ts';
import { Index, IndexBody, Indexes, IndexParams } from './index-schemas.ts';
import type { StoredIndex } from './index-store.ts';

/** Indexes on an organization's records. */
export const indexRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { indexes } = services;
  addRecordBodies(app);

  app.get(
    '/org/indexes',
    {
      // Whoever may query may know what makes queries fast.
      config: { permission: 'record:read' },
      schema: {
        operationId: 'listIndexes',
        tags: ['Schema and indexes'],
        summary: 'List the indexes on the records',
        description: 'With the one on `_id`, and those that are being built.',
        response: { 200: Indexes, ...problemResponses(400, 401, 403, 404, 409) },
      },
    },
    async (request) => {
      const found = await indexes.list(callerOf(request).organizationId);
      return { data: found.map(view), next_cursor: null };
    },
  );

  app.post(
    '/org/indexes',
    {
      config: { permission: 'schema:write' },
      schema: {
        operationId: 'createIndex',
        tags: ['Schema and indexes'],
        summary: 'Make an index',
        description:
          'Asking again for the same index does no harm. One that takes longer than 10 s to build answers 202 and is built ' +
          'all the same: `GET /org/indexes` shows it, and no longer has it if that failed.',
        body: IndexBody,
        response: {
          200: { ...Index, description: 'The index was there.' },
          201: { ...Index, description: 'The index is ready.' },
          202: { ...Index, description: 'The index is being built.' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { organizationId } = callerOf(request);
      const { outcome, index, definition } = await indexes.create(organizationId, request.body);
      return reply.code(STATUSES[outcome]).send(view(index ?? announced(definition)));
    },
  );

  app.delete(
    '/org/indexes/:name',
    {
      config: { permission: 'schema:write' },
      schema: {
        operationId: 'deleteIndex',
        tags: ['Schema and indexes'],
        summary: 'Delete an index',
        description: 'One that is being built as well. The one on `_id` stays.',
        params: IndexParams,
        response: {
          204: { description: 'The index is gone.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      await indexes.delete(callerOf(request).organizationId, request.params.name);
      return reply.code(204).send(null);
    },
  );
};

const STATUSES = { existing: 200, created: 201, building: 202 } as const;

function view(index: Omit<StoredIndex, 'since'> & { since: Date | null }) {
  const { name, fields, unique, sparse, building, bytes, operations, since } = index;
  const { expireAfterSeconds, partialFilter } = index;
  return {
    ...{ name, fields, unique, sparse, expire_after_seconds: expireAfterSeconds },
    partial_filter: partialFilter && (jsonOf(partialFilter, 'relaxed') as Record<string, unknown>),
    built_in: name === ID_INDEX,
    ...{ building, bytes, operations, operations_since: since?.toISOString() ?? null },
  };
}

/** One that the database does not show yet. */
function announced({ name, key, options }: IndexDefinition): Parameters<typeof view>[0] {
  const orders: Record<string, string> = { 1: 'asc', '-1': 'desc' };
  return {
    name,
    fields: [...key].map(([field, order]) => ({ field, order: orders[order] ?? String(order) })),
    ...{ unique: options.unique === true, sparse: options.sparse === true },
    ...{ expireAfterSeconds: options.expireAfterSeconds ?? null },
    ...{ partialFilter: options.partialFilterExpression ?? null },
    ...{ building: true, bytes: null, operations: 0, since: null },
  };
}
