import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { callerOf } from '../http/authentication.ts';
import { problemResponses, statusOf } from '../http/problem-details.ts';
import { idempotencyHeaders } from '../idempotency/idempotency-schemas.ts';
import type { Services } from '../services.ts';
import { jsonOf } from './extended-json.ts';
import { sendJson } from './record-answers.ts';
import type { BatchResult } from './record-batch.ts';
import { BatchBody, BatchResults } from './record-schemas.ts';

const MAX_BODY_BYTES = 16 * 1_048_576;

/** Changing many records in one request. */
export const recordBatchRoutes: FastifyPluginAsyncTypebox<{ services: Services }> = async (
  app,
  { services },
) => {
  const { recordBatch } = services;

  app.post(
    '/org/records/batch',
    {
      config: { permission: 'record:write', freshness: 'recent', idempotent: true },
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        operationId: 'changeRecords',
        tags: ['Records'],
        summary: 'Change many records',
        description:
          'Up to 1,000 changes, 16 MiB in all, done in their order; inserts that follow one another go to the database together. ' +
          'They are not one transaction: each has a result of its own, and some may be done and others not. With an ' +
          '`Idempotency-Key` a repetition after a lost answer does again only what was not done.',
        headers: idempotencyHeaders,
        body: BatchBody,
        response: {
          200: BatchResults,
          ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { organizationId } = callerOf(request);
      const attempt = request.attempt ?? undefined;
      const results = await recordBatch.run(organizationId, request.body.operations, attempt);
      const failed = results.filter((one) => 'error' in one).length;
      return sendJson(reply, {
        results: results.map(view),
        ...{ succeeded: results.length - failed, failed },
      });
    },
  );
};

const STATUSES = { created: 201, changed: 200, deleted: 204 } as const;

function view(result: BatchResult) {
  if ('error' in result) {
    const { code, message, errors } = result.error;
    return { status: statusOf(result.error), error: { code, detail: message, errors } };
  }
  const { done, id, etag } = result;
  return { status: STATUSES[done], id: jsonOf(id, 'relaxed'), etag };
}
