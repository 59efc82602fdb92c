import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { callerOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import { idempotencyHeaders } from '../idempotency/idempotency-schemas.ts';
import type { Services } from '../services.ts';
import { conditionsOf } from './entity-tags.ts';
import { sendCreated, sendRecord } from './record-answers.ts';
import { recordIdOf } from './record-id.ts';
import {
  createdHeaders,
  etagHeader,
  ifMatchHeaders,
  MergePatch,
  RecordBody,
  RecordParams,
  replaceHeaders,
  StoredRecordBody,
  WriteQuerystring,
} from './record-schemas.ts';

const WRITING = { permission: 'record:write', freshness: 'recent' } as const;

/** Changing records, one at a time. */
export const recordWriteRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { records } = services;

  app.post(
    '/org/records',
    {
      config: { ...WRITING, idempotent: true },
      schema: {
        operationId: 'createRecord',
        tags: ['Records'],
        summary: 'Create a record',
        description:
          'Any object. `_id` may be of any type but a list; without one it is an ObjectId.',
        headers: idempotencyHeaders,
        querystring: WriteQuerystring,
        body: RecordBody,
        response: {
          201: { ...StoredRecordBody, headers: createdHeaders },
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { organizationId } = callerOf(request);
      const attempt = request.attempt ?? undefined;
      const record = await records.create(organizationId, request.body, attempt);
      return sendCreated(reply, record, request.query.extended_json);
    },
  );

  app.put(
    '/org/records/:id',
    {
      config: WRITING,
      schema: {
        operationId: 'replaceRecord',
        tags: ['Records'],
        summary: 'Replace a record',
        description:
          'Puts the body in its place, whole. There has to be such a record, so that nobody brings back what was deleted; ' +
          '`If-None-Match: *` makes one with this id instead.',
        params: RecordParams,
        querystring: WriteQuerystring,
        headers: replaceHeaders,
        body: RecordBody,
        response: {
          200: { ...StoredRecordBody, headers: etagHeader },
          201: { ...StoredRecordBody, headers: createdHeaders },
          ...problemResponses(400, 401, 403, 404, 409, 412, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { extended_json: mode } = request.query;
      const conditions = conditionsOf(request.headers);
      const record = await records.replace(
        ...([callerOf(request).organizationId, recordIdOf(request.params.id)] as const),
        ...([request.body, conditions] as const),
      );
      return conditions.ifAbsent === true
        ? sendCreated(reply, record, mode)
        : sendRecord(reply, record, mode);
    },
  );

  app.patch(
    '/org/records/:id',
    {
      config: WRITING,
      schema: {
        operationId: 'patchRecord',
        tags: ['Records'],
        summary: 'Change fields of a record',
        description:
          'A JSON merge patch (RFC 7396), as `application/merge-patch+json` or `application/json`. Values of Extended JSON ' +
          'are replaced whole. Without `If-Match` patches of different fields at the same time all count.',
        params: RecordParams,
        querystring: WriteQuerystring,
        headers: ifMatchHeaders,
        body: MergePatch,
        response: {
          200: { ...StoredRecordBody, headers: etagHeader },
          ...problemResponses(400, 401, 403, 404, 409, 412, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const record = await records.patch(
        ...([callerOf(request).organizationId, recordIdOf(request.params.id)] as const),
        ...([request.body, conditionsOf(request.headers)] as const),
      );
      return sendRecord(reply, record, request.query.extended_json);
    },
  );

  app.delete(
    '/org/records/:id',
    {
      config: WRITING,
      schema: {
        operationId: 'deleteRecord',
        tags: ['Records'],
        summary: 'Delete a record',
        description: 'For good.',
        params: RecordParams,
        headers: ifMatchHeaders,
        response: {
          204: { description: 'The record is gone.', type: 'null' },
          ...problemResponses(400, 401, 403, 404, 412, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      await records.delete(
        ...([callerOf(request).organizationId, recordIdOf(request.params.id)] as const),
        conditionsOf(request.headers),
      );
      return reply.code(204).send(null);
    },
  );
};
