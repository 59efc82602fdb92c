import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { DatabaseUnavailableError, isDatabaseUnavailable } from '../database/database-errors.ts';
import { AppError, type ErrorKind, type FieldError } from '../errors.ts';
import { callerFields } from './request-logging.ts';
import { validationProblem } from './validation-problem.ts';

declare module 'fastify' {
  interface FastifyReply {
    /** The code of the problem that is the answer, if it is one: for the log, metrics and traces. */
    problemCode: string | null;
  }
}

/** The one table from what went wrong to an HTTP status. `title` is RFC 9457's summary of the problem type. */
const KINDS: Record<ErrorKind, { status: number; title: string }> = {
  malformed: { status: 400, title: 'The request could not be read' },
  unauthenticated: { status: 401, title: 'Authentication needed' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  not_acceptable: { status: 406, title: 'Not acceptable' },
  timeout: { status: 408, title: 'Request timeout' },
  conflict: { status: 409, title: 'Conflict' },
  gone: { status: 410, title: 'Gone' },
  precondition: { status: 412, title: 'Precondition failed' },
  too_large: { status: 413, title: 'Too large' },
  unsupported_media: { status: 415, title: 'Unsupported media type' },
  invalid: { status: 422, title: 'Invalid input' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  unavailable: { status: 503, title: 'Service unavailable' },
};

/** The status of an error that is one part of an answer. */
export function statusOf({ kind }: AppError): number {
  return KINDS[kind].status;
}

export const Problem = Type.Object(
  {
    type: Type.String({
      description: 'A URI that names the condition: `urn:tenantry:problem:<code>`.',
      examples: ['urn:tenantry:problem:validation_failed'],
    }),
    title: Type.String({ examples: ['Invalid input'] }),
    status: Type.Integer({ minimum: 400, maximum: 599, examples: [422] }),
    detail: Type.String({
      description: 'What is wrong, for people.',
      examples: ['email: must be an e-mail address'],
    }),
    code: Type.String({
      description: 'The condition, for programs: stable, one per condition.',
      pattern: '^[a-z][a-z0-9_]*$',
      examples: ['validation_failed'],
    }),
    request_id: Type.String({
      description: 'Names this request in the logs; also in `X-Request-Id`.',
      examples: ['7f0d8a54-6f3e-4b7e-9d59-3d6a7c2f1b10'],
    }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({
            description: 'The field, as a JSON Pointer (RFC 6901).',
            examples: ['/email'],
          }),
          message: Type.String({ examples: ['must be an e-mail address'] }),
        }),
        { description: 'The fields at fault.' },
      ),
    ),
  },
  { $id: 'Problem', title: 'Problem', description: 'Problem details (RFC 9457).' },
);
export type Problem = Static<typeof Problem>;

export const PROBLEM_JSON = 'application/problem+json';

/** Fastify's own refusals, by its error codes. */
const FASTIFY_ERRORS: Record<string, { kind: ErrorKind; code: string; detail: string }> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    kind: 'unsupported_media',
    code: 'unsupported_media_type',
    detail: 'The Content-Type of the body is not one this operation takes; send application/json.',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    kind: 'too_large',
    code: 'body_too_large',
    detail: 'The body is larger than this operation takes.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    kind: 'malformed',
    code: 'malformed_body',
    detail: 'The body is not as long as Content-Length says.',
  },
};

/** Headers that come with a status, for the document. */
const RETRY_AFTER = {
  'Retry-After': Type.Integer({
    description: 'Seconds until trying again makes sense.',
    examples: [2],
  }),
};
const STATUS_HEADERS: Record<number, object> = {
  401: {
    'WWW-Authenticate': Type.String({
      description: 'RFC 6750.',
      examples: ['Bearer realm="tenantry"'],
    }),
  },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

/** Refusals that come by thousands when they come: the line that every request has in the log is enough. */
const SHED: ReadonlySet<string> = new Set(['overloaded', 'stopping']);

/** Turns every error into problem details. Anything unknown is a bug: logged with its stack, answered without it. */
export function addProblemDetails(app: FastifyInstance): void {
  app.addSchema(Problem);
  app.decorateReply('problemCode', null);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { status, title, about, known } = explained(error, request);
    if (known?.retryAfter !== undefined) reply.header('retry-after', known.retryAfter);
    if (known !== undefined && status === 401) reply.header('www-authenticate', challenge(known));
    return sendProblem(request, reply, status, title, about);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(request, reply, 404, 'Not found', {
      code: 'route_not_found',
      message: `There is nothing at ${request.method} ${request.url.split('?')[0]}. See /docs.`,
    }),
  );
}

/**
 * The problem that stands for an error where the status has gone out already, in the last line of an answer that is
 * streamed. Logs as the error handler does.
 */
export function lateProblem(error: unknown, request: FastifyRequest): Problem {
  const { status, title, about } = explained(error as FastifyError, request);
  return problemOf(request.id, status, title, about);
}

/** What an error is to the caller; and to the log. */
function explained(error: FastifyError, request: FastifyRequest) {
  const known = toAppError(error, request);
  if (known === undefined) {
    request.log.error({ ...callerFields(request), err: error }, 'unexpected error');
    const message = 'Something went wrong on our side. The request id finds it in the logs.';
    return {
      ...{ status: 500, title: 'Internal error', known },
      about: { code: 'internal_error', message } satisfies About,
    };
  }
  const { status, title } = KINDS[known.kind];
  if (status >= 500 && !SHED.has(known.code))
    request.log.warn({ ...callerFields(request), err: known }, known.code);
  return { status, title, known, about: known satisfies About };
}

/** What is said about a problem. */
interface About {
  code: string;
  message: string;
  errors?: readonly FieldError[] | undefined;
}

/** Sends one problem. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  title: string,
  about: About,
): FastifyReply {
  reply.problemCode = about.code;
  return reply
    .code(status)
    .type(PROBLEM_JSON)
    .send(problemOf(request.id, status, title, about));
}

/** The problem itself, as it is sent. */
export function problemOf(
  requestId: string,
  status: number,
  title: string,
  { code, message, errors }: About,
): Problem {
  return {
    type: `urn:tenantry:problem:${code}`,
    title,
    status,
    detail: message,
    code,
    request_id: requestId,
    ...(errors && { errors: [...errors] }),
  };
}

/** The responses of a route that answers with these statuses when it refuses. Every route may answer 500 and 503. */
export function problemResponses<S extends number>(...statuses: S[]) {
  const all = [...new Set([...statuses, 500, 503])];
  return Object.fromEntries(all.map((status) => [status, problemResponse(status)])) as Record<
    S | 500 | 503,
    ReturnType<typeof problemResponse>
  >;
}

/** One of {@link problemResponses}. */
export function problemResponse(status: number) {
  const kind = Object.values(KINDS).find((one) => one.status === status);
  const headers = STATUS_HEADERS[status];
  return {
    description: kind?.title ?? 'Internal error',
    ...(headers && { headers }),
    content: { [PROBLEM_JSON]: { schema: Type.Ref('Problem#') } },
  };
}

function toAppError(error: FastifyError, request: FastifyRequest): AppError | undefined {
  if (error instanceof AppError) return error;
  if (error.validation) return validationProblem(error.validation, error.validationContext);
  if (isDatabaseUnavailable(error)) return new DatabaseUnavailableError(error);
  const known = FASTIFY_ERRORS[error.code];
  if (known !== undefined)
    return new AppError(known.kind, known.code, known.detail, { cause: error });
  // Body parsers say 400 for what they cannot read.
  if (error.statusCode === 400 && request.body === undefined)
    return new AppError('malformed', 'malformed_body', 'The body could not be read.', {
      cause: error,
    });
  return undefined;
}

/** RFC 6750, section 3: a request without a token gets no error code. */
function challenge(error: AppError): string {
  return error.code === 'invalid_token' || error.code === 'token_expired'
    ? 'Bearer realm="tenantry", error="invalid_token"'
    : 'Bearer realm="tenantry"';
}
