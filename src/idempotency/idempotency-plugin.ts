import type { FastifyInstance } from 'fastify';
import type { Caller, OperatorCaller } from '../access/caller.ts';
import { AppError } from '../errors.ts';
import type { IdempotencyService, IdempotentAttempt } from './idempotency-service.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on a request with an `Idempotency-Key`, on routes that take one. */
    attempt: IdempotentAttempt | null;
  }
  interface FastifyContextConfig {
    /** The route creates something and takes an `Idempotency-Key`. */
    idempotent?: boolean;
  }
}

const MAX_KEY_LENGTH = 255;

/** Gives every route with `config.idempotent` the `Idempotency-Key` header. */
export function addIdempotency(app: FastifyInstance, service: IdempotencyService): void {
  app.decorateRequest('attempt', null);

  // After validation: a request that was never valid uses up no key.
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    if (request.routeOptions.config.idempotent !== true || key === undefined) return;
    const { caller, operator } = request;
    const operation = `${request.method} ${request.routeOptions.url}${nameOf(caller, operator)}`;
    const begun = await service.begin(
      operation,
      checkedKey(key),
      request.body,
      caller?.organizationId,
    );
    if (begun.kind === 'attempt') {
      request.attempt = begun;
      return;
    }
    const { status, content_type, body } = begun.answer;
    return (
      reply
        .code(status)
        .header('idempotent-replayed', 'true')
        // Whatever the first answer said of that: some hold secrets.
        .header('cache-control', 'no-store')
        .type(content_type)
        .serializer((text: string) => text)
        .send(body)
    );
  });

  app.addHook('onSend', async (request, reply, payload) => {
    if (request.attempt !== null && typeof payload === 'string') {
      const { attempt } = request;
      request.attempt = null;
      await service.end(attempt, {
        status: reply.statusCode,
        content_type: String(reply.getHeader('content-type')),
        body: payload,
      });
    }
    return payload;
  });
}

/** Keys of one caller are of no concern to another. */
function nameOf(caller: Caller | null, operator: OperatorCaller | null): string {
  if (operator !== null) return ` operator ${operator.operatorId.toHexString()}`;
  if (caller === null) return '';
  const who = caller.kind === 'member' ? caller.adminId : caller.apiKeyId;
  return ` ${caller.organizationId.toHexString()} ${who.toHexString()}`;
}

function checkedKey(key: string | string[]): string {
  if (typeof key === 'string' && /^[\x21-\x7e]+$/.test(key) && key.length <= MAX_KEY_LENGTH)
    return key;
  const message = `must be 1 to ${MAX_KEY_LENGTH} visible ASCII characters`;
  throw new AppError('malformed', 'invalid_idempotency_key', `Idempotency-Key: ${message}.`, {
    errors: [{ path: '/idempotency-key', message }],
  });
}
