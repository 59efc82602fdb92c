import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Document } from 'mongodb';
import { callerOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import { jsonOf } from '../records/extended-json.ts';
import { addRecordBodies } from '../records/record-bodies.ts';
import { recordIdText } from '../records/record-id.ts';
import type { Services } from '../services.ts';
import {
  DeclaredSchema,
  RecordSchema,
  RecordSchemaBody,
  RecordSchemaQuery,
} from './record-schema-schemas.ts';

const MAX_SCHEMA_BYTES = 64 * 1024;

/** What an organization's records have to be like. */
export const recordSchemaRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { recordSchemas } = services;
  addRecordBodies(app);

  app.get(
    '/org/schema',
    {
      // Whoever may read records may know what they are like.
      config: { permission: 'record:read' },
      schema: {
        operationId: 'getSchema',
        tags: ['Schema and indexes'],
        summary: "Read the schema of the organization's records",
        description: 'The JSON Schema that MongoDB enforces on every write, or null.',
        response: { 200: RecordSchema, ...problemResponses(400, 401, 403, 404, 409) },
      },
    },
    async (request) => {
      const schema = await recordSchemas.find(callerOf(request).organizationId);
      return { schema: schema && plain(schema) };
    },
  );

  app.put(
    '/org/schema',
    {
      config: { permission: 'schema:write' },
      bodyLimit: MAX_SCHEMA_BYTES,
      schema: {
        operationId: 'declareSchema',
        tags: ['Schema and indexes'],
        summary: "Declare a schema for the organization's records",
        description:
          'In force at once, for every write by whatever route, in place of the schema before. Existing records that break ' +
          'it are told; they stay as they are, and whatever changes one next has to mend it.',
        querystring: RecordSchemaQuery,
        body: RecordSchemaBody,
        response: {
          200: DeclaredSchema,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request) => {
      const { organizationId } = callerOf(request);
      const options = { dryRun: request.query.dry_run === true };
      const { schema, existing } = await recordSchemas.declare(
        organizationId,
        request.body,
        options,
      );
      const { violating, exact, examples } = existing;
      const shown = examples.map(({ id, errors }) => ({ id: recordIdText(id), errors }));
      return { schema: plain(schema), existing: { violating, exact, examples: shown } };
    },
  );

  app.delete(
    '/org/schema',
    {
      config: { permission: 'schema:write' },
      schema: {
        operationId: 'deleteSchema',
        tags: ['Schema and indexes'],
        summary: 'Take the schema away',
        description: 'Records may hold anything from then on.',
        response: {
          204: { description: 'There is no schema.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415),
        },
      },
    },
    async (request, reply) => {
      await recordSchemas.remove(callerOf(request).organizationId);
      return reply.code(204).send(null);
    },
  );
};

function plain(schema: Document): Record<string, unknown> {
  return jsonOf(schema, 'relaxed') as Record<string, unknown>;
}
