import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { isLongUpload } from './long-uploads.ts';
import { PROBLEM_JSON, problemOf, sendProblem } from './problem-details.ts';

interface Refusal {
  status: number;
  reason: string;
  code: string;
  message: string;
}

const MALFORMED: Refusal = {
  status: 400,
  reason: 'Bad Request',
  code: 'malformed_request',
  message: 'The request is not well-formed HTTP.',
};

/** By the codes of Node's HTTP parser. */
const REFUSALS: Record<string, Refusal> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    reason: 'Request Header Fields Too Large',
    code: 'headers_too_large',
    message: 'The headers are larger than this service takes.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    reason: 'Request Timeout',
    code: 'request_timeout',
    message: 'The request took too long to arrive.',
  },
};

/** Problem details for what fails before there is a route or even a request: URLs, headers, HTTP itself. */
export const transportErrors: Required<
  Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'>
> = {
  frameworkErrors: (error: { code: string }, request: FastifyRequest, reply: FastifyReply) => {
    // Hooks, and with them what they set, do not run for a URL that cannot be routed.
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    if (error.code === 'FST_ERR_MAX_PARAM_LENGTH')
      return sendProblem(request, reply, 404, 'Not found', {
        code: 'route_not_found',
        message: 'There is nothing at this URL: a part of it is too long.',
      });
    return sendProblem(request, reply, 400, 'The request could not be read', {
      code: 'malformed_url',
      message: 'The URL is not well formed.',
    });
  },

  clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => {
    // Node says so once for each request, and then watches only the next one.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && isLongUpload(socket)) return;
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    socket.write(rawAnswer(REFUSALS[error.code ?? ''] ?? MALFORMED));
    socket.destroySoon();
  },
};

/** There is no reply to write to, so this is the answer as it goes over the wire (RFC 9112). */
function rawAnswer({ status, reason, ...about }: Refusal): string {
  const id = randomUUID();
  const body = JSON.stringify(problemOf(id, status, reason, about));
  return [
    `HTTP/1.1 ${status} ${reason}`,
    `content-type: ${PROBLEM_JSON}; charset=utf-8`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${id}`,
    'x-content-type-options: nosniff',
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
