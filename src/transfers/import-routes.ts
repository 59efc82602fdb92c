import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import { callerOf, stillAllowed } from '../http/authentication.ts';
import { longUpload } from '../http/long-uploads.ts';
import { lateProblem, problemResponses } from '../http/problem-details.ts';
import type { Services } from '../services.ts';
import type { ImportProgress, ImportReport as Report } from './import-service.ts';
import { ImportQuery, ImportReport, STREAMED } from './transfer-schemas.ts';

const FORMATS: Readonly<Record<string, 'ndjson' | 'csv' | undefined>> = {
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
  // Says nothing; the query does.
  'application/octet-stream': undefined,
};
const NDJSON = 'application/x-ndjson';

/** Taking records in, however many. */
export const importRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  addStreamedBodies(app);

  app.post(
    '/org/records/import',
    {
      config: { permission: 'record:write', freshness: 'recent', extendedJson: true },
      schema: {
        operationId: 'importRecords',
        tags: ['Records'],
        summary: 'Import records',
        description:
          'NDJSON (one document of Extended JSON a line) or CSV, of any size. Each record by itself: one that cannot be stored ' +
          'is reported with its line, and the others are stored. The body is read as fast as the database takes it, and may ' +
          'take as long as it keeps coming. With `Accept: application/x-ndjson` the answer begins at once: lines of ' +
          '`{"progress": …}` about once a second, and at last `{"report": …}`, or `{"problem": …}` when the import ended early. If ' +
          'it does, or the connection breaks, what was stored stays; sent again with `mode=upsert`, records with an `_id` ' +
          'are not stored twice.',
        querystring: ImportQuery,
        body: {
          description: 'The records.',
          content: {
            [NDJSON]: { schema: { description: 'One document of Extended JSON a line.' } },
            'text/csv': { schema: { description: 'RFC 4180; the first line names the fields.' } },
            'application/octet-stream': { schema: { description: 'What `format` says.' } },
          },
        },
        response: {
          200: {
            description: 'What was done.',
            content: {
              'application/json': { schema: ImportReport },
              [NDJSON]: { schema: STREAMED.progress },
            },
          },
          ...problemResponses(400, 401, 403, 404, 408, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { mode = 'insert', types = 'auto', formulas = 'escape' } = request.query;
      const format = formatOf(request, request.query.format);
      const body = longUpload(request, bodyOf(request));
      const allowed = stillAllowed(services.access, request);
      const progress = services.imports.run(callerOf(request).organizationId, body, {
        ...{ format, mode, types, formulas, stillAllowed: allowed },
      });
      if (!wantsProgress(request)) return reply.code(200).send(await reportOf(progress));
      const first = await progress.next();
      const lines = Readable.from(progressLines(first, progress, request));
      return reply
        .code(200)
        .type(NDJSON)
        .send(lines as never);
    },
  );
};

/** Hands a body on as it comes, unread. */
function addStreamedBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(Object.keys(FORMATS), (_request, body, done) => done(null, body));
}

function bodyOf({ body }: FastifyRequest): Readable {
  if (body instanceof Readable) return body;
  throw unsupported('unsupported_media_type', 'There is no body.');
}

/** @throws AppError `unsupported_media_type`, `unsupported_content_encoding` */
function formatOf(
  { headers }: FastifyRequest,
  asked: 'ndjson' | 'csv' | undefined,
): 'ndjson' | 'csv' {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity')
    throw unsupported('unsupported_content_encoding', 'The body must not be compressed.');
  const [type = '', ...parameters] = (headers['content-type'] ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  const charset = parameters.find((one) => one.startsWith('charset='))?.slice('charset='.length);
  if (charset !== undefined && !/^"?utf-?8"?$/.test(charset))
    throw unsupported('unsupported_media_type', 'The body has to be in UTF-8.');
  const format = asked ?? FORMATS[type];
  if (format === undefined)
    throw unsupported(
      'unsupported_media_type',
      `Send ${NDJSON} or text/csv, or say with format= what the body is.`,
    );
  return format;
}

function unsupported(code: string, message: string): AppError {
  return new AppError('unsupported_media', code, message);
}

function wantsProgress({ headers }: FastifyRequest): boolean {
  return /\bapplication\/(x-)?ndjson\b/i.test(headers.accept ?? '');
}

async function reportOf(progress: AsyncGenerator<ImportProgress, Report>): Promise<Report> {
  for (;;) {
    const next = await progress.next();
    if (next.done === true) return next.value;
  }
}

async function* progressLines(
  first: IteratorResult<ImportProgress, Report>,
  progress: AsyncGenerator<ImportProgress, Report>,
  request: FastifyRequest,
): AsyncGenerator<string, void> {
  try {
    for (let next = first; ; next = await progress.next()) {
      if (next.done === true) {
        yield line({ report: next.value });
        return;
      }
      yield line({ progress: next.value });
    }
  } catch (error) {
    yield line({ problem: lateProblem(error, request) });
  } finally {
    await progress.return(undefined as never);
  }
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
