import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import type { Static } from 'typebox';
import { InvalidFieldError } from '../errors.ts';
import { callerOf, stillAllowed } from '../http/authentication.ts';
import { problemResponses } from '../http/problem-details.ts';
import { parseExactJson } from '../records/extended-json.ts';
import { assertFieldPath, filterOf } from '../records/record-filter.ts';
import type { Services } from '../services.ts';
import { attachment } from './content-disposition.ts';
import { MAX_COLUMNS } from './csv-reader.ts';
import type { ExportFormat } from './export-service.ts';
import { ExportQuery, STREAMED } from './transfer-schemas.ts';

/** How long a client may take to read nothing at all, before it is given up together with what is kept for it. */
const IDLE_LIMIT_MS = 60_000;

const PIECE_BYTES = 256 * 1024;

const FORMATS: Readonly<Record<ExportFormat, { type: string; ending: string }>> = {
  ndjson: { type: 'application/x-ndjson', ending: 'ndjson' },
  csv: { type: 'text/csv; charset=utf-8; header=present', ending: 'csv' },
  mongodump: { type: 'application/x-tar', ending: 'tar' },
};

/** Giving records out, however many. */
export const exportRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  app.get(
    '/org/records/export',
    {
      config: { permission: 'record:read' },
      schema: {
        operationId: 'exportRecords',
        tags: ['Records'],
        summary: 'Export records',
        description:
          'All records, or those that match a filter, in the order of `_id`; each as it is when it is read. A connection that ' +
          'ends without the end of the last chunk means that the export is not whole: when the database fails on the way, or ' +
          'the caller may no longer read. HEAD tells the file name, and reads nothing.',
        querystring: ExportQuery,
        response: {
          200: {
            description: 'The records, as a file to save.',
            headers: {
              'Content-Disposition': STREAMED.disposition,
            },
            content: {
              'application/x-ndjson': { schema: STREAMED.ndjson },
              'text/csv': { schema: STREAMED.csv },
              'application/x-tar': { schema: STREAMED.tar },
            },
          },
          ...problemResponses(400, 401, 403, 404, 409, 422),
        },
      },
    },
    async (request, reply) => {
      const options = optionsOf(request.query);
      const { organizationId } = callerOf(request);
      const { type, ending } = FORMATS[options.format];
      const name = `${await services.exports.fileName(organizationId)}.${ending}`;
      const send = (chunks: Readable) =>
        reply
          .code(200)
          .type(type)
          .header('content-disposition', attachment(name))
          // A stream, which the types of the responses know nothing of.
          .send(chunks as never);
      if (request.method === 'HEAD') return send(Readable.from([]));
      const found = await services.exports.begin(organizationId, {
        ...{ ...options, stillAllowed: stillAllowed(services.access, request) },
      });
      const chunks = Readable.from(whileRead(found.chunks, reply), { objectMode: false });
      chunks.once('close', () => void found.close());
      return send(chunks);
    },
  );
};

/** @throws InvalidFieldError, UnsupportedOperatorError, InvalidExtendedJsonError */
function optionsOf(query: Static<typeof ExportQuery>) {
  const { format = 'ndjson', extended_json: extendedJson = 'relaxed', formulas = 'escape' } = query;
  if (format === 'mongodump' && query.fields !== undefined)
    throw new InvalidFieldError('/fields', 'cannot be had with format=mongodump');
  const filter = query.filter === undefined ? {} : filterOf(parsed(query.filter), '/filter');
  const fields = query.fields === undefined ? undefined : fieldsOf(query.fields);
  return { format, extendedJson, formulas, filter, fields };
}

function parsed(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    throw new InvalidFieldError('/filter', 'must be JSON');
  }
}

function fieldsOf(text: string): string[] {
  const paths = text.split(',');
  if (paths.length > MAX_COLUMNS)
    throw new InvalidFieldError('/fields', `must name at most ${MAX_COLUMNS} fields`);
  if (new Set(paths).size < paths.length)
    throw new InvalidFieldError('/fields', 'must name no field twice');
  for (const path of paths) {
    if (path.split('.').includes(''))
      throw new InvalidFieldError('/fields', 'must be paths, separated by commas');
    assertFieldPath(path, '/fields');
  }
  return paths;
}

/**
 * Ends the connection when the client takes nothing for too long: it would keep a cursor, and what was read for it. In
 * pieces, so that a slow client is not taken for one that is gone.
 */
async function* whileRead(
  chunks: AsyncIterable<Buffer>,
  { raw }: FastifyReply,
): AsyncGenerator<Buffer, void> {
  for await (const chunk of chunks)
    for (let from = 0; from < chunk.length; from += PIECE_BYTES) {
      const timer = setTimeout(() => raw.destroy(), IDLE_LIMIT_MS);
      try {
        yield chunk.subarray(from, from + PIECE_BYTES);
      } finally {
        clearTimeout(timer);
      }
    }
}
