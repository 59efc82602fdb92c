import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import type { ObjectId } from 'mongodb';
import { callerOf } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import { entityTagsOf, matchesWeakly } from './entity-tags.ts';
import { type ExtendedJsonMode, jsonOf } from './extended-json.ts';
import { projectionOf } from './projection.ts';
import { sendJson } from './record-answers.ts';
import { filterOf } from './record-filter.ts';
import { recordIdOf } from './record-id.ts';
import { type RawQuery, recordQueryOf, withJson } from './record-query.ts';
import {
  CountQuerystring,
  etagHeader,
  ReadQuerystring,
  RecordCount,
  RecordList,
  RecordParams,
  RecordQueryBody,
  RecordQuerystring,
  readHeaders,
  StoredRecordBody,
} from './record-schemas.ts';

const READING = { permission: 'record:read', freshness: 'recent' } as const;
const LIST_DESCRIPTION =
  'The records that match a filter, in any order. Following `next_cursor` gives every record that was there from the ' +
  'beginning and was not changed meanwhile exactly once, whatever others insert. A query may take 5 s; an index on the ' +
  'first field of the sort and `_id` makes every page fast.';

/** Reading records. */
export const recordReadRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { recordReader } = services;

  async function sendPage(
    reply: FastifyReply,
    organizationId: ObjectId,
    { extended_json: mode = 'relaxed', ...query }: RawQuery & { extended_json?: ExtendedJsonMode },
  ): Promise<FastifyReply> {
    const { records, next } = await recordReader.page(organizationId, recordQueryOf(query));
    return sendJson(reply, { data: records.map((one) => jsonOf(one, mode)), next_cursor: next });
  }

  app.get(
    '/org/records',
    {
      config: READING,
      schema: {
        operationId: 'listRecords',
        tags: ['Records'],
        summary: 'List records',
        description: LIST_DESCRIPTION,
        querystring: RecordQuerystring,
        response: { 200: RecordList, ...problemResponses(400, 401, 403, 404, 422) },
      },
    },
    (request, reply) => sendPage(reply, callerOf(request).organizationId, withJson(request.query)),
  );

  app.post(
    '/org/records/query',
    {
      config: READING,
      schema: {
        operationId: 'queryRecords',
        tags: ['Records'],
        summary: 'List records, with a filter too long for a URL',
        description: `${LIST_DESCRIPTION} Changes nothing.`,
        body: RecordQueryBody,
        response: { 200: RecordList, ...problemResponses(400, 401, 403, 404, 413, 415, 422) },
      },
    },
    (request, reply) => sendPage(reply, callerOf(request).organizationId, request.body),
  );

  app.get(
    '/org/records/count',
    {
      config: READING,
      schema: {
        operationId: 'countRecords',
        tags: ['Records'],
        summary: 'Count records',
        description: 'How many records match a filter. The query may take 5 s.',
        querystring: CountQuerystring,
        response: { 200: RecordCount, ...problemResponses(400, 401, 403, 404, 422) },
      },
    },
    async (request) => {
      const { filter = {} } = withJson(request.query);
      const { organizationId } = callerOf(request);
      return { count: await recordReader.count(organizationId, filterOf(filter, '/filter')) };
    },
  );

  app.get(
    '/org/records/:id',
    {
      config: READING,
      schema: {
        operationId: 'getRecord',
        tags: ['Records'],
        summary: 'Get a record',
        description:
          'The record, and in `ETag` its version, also when only some of its fields are asked for.',
        params: RecordParams,
        querystring: ReadQuerystring,
        headers: readHeaders,
        response: {
          200: { ...StoredRecordBody, headers: etagHeader },
          304: { description: 'The record is what you have.', type: 'null', headers: etagHeader },
          ...problemResponses(400, 401, 403, 404, 422),
        },
      },
    },
    async (request, reply) => {
      const { fields, extended_json: mode = 'relaxed' } = request.query;
      const { 'if-none-match': known } = request.headers;
      const tags = known === undefined ? undefined : entityTagsOf(known, 'if-none-match');
      const projection = fields === undefined ? undefined : projectionOf(fields);
      const { record, etag } = await recordReader.one(
        ...([callerOf(request).organizationId, recordIdOf(request.params.id)] as const),
        projection,
      );
      reply.header('etag', etag);
      if (tags !== undefined && matchesWeakly(tags, etag)) return reply.code(304).send(null);
      return sendJson(reply, jsonOf(record, mode));
    },
  );
};
