import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';

/** How long an upload may pause. What other requests have to arrive as a whole. */
const IDLE_LIMIT_MS = 30_000;
/** How long the rest of an upload that was refused half-way is read, so that the client gets to read the answer. */
const LINGER_MS = 5_000;

export class UploadStalledError extends AppError {
  constructor() {
    super('timeout', 'request_timeout', 'The request took too long to arrive.');
  }
}

export class UploadBrokenOffError extends AppError {
  constructor(cause: unknown) {
    const message = 'The connection ended before the body did.';
    super('malformed', 'upload_broken_off', message, { cause });
  }
}

/** The connections on which a request may take as long as bytes keep coming. */
const sockets = new WeakSet<object>();

/** Whether the request that is arriving on a connection is exempt from the time that requests have to arrive. */
export function isLongUpload(socket: object): boolean {
  return sockets.has(socket);
}

/**
 * Reads a body of any size, no faster than it is asked for. From the first read on to the end of the body the request is
 * exempt from the server's `requestTimeout`; instead, no pause may be longer than half a minute. So it is for routes alone whose
 * callers have proved who they are.
 *
 * When it is left before the end of the body, the rest is thrown away for some seconds, and then the connection is closed:
 * closed at once, it would take the answer with it.
 *
 * @param body - what a body parser made of the request: its stream
 * @throws UploadStalledError, UploadBrokenOffError
 */
export async function* longUpload(
  { raw }: FastifyRequest,
  body: Readable,
  { idleLimitMs = IDLE_LIMIT_MS, lingerMs = LINGER_MS } = {},
): AsyncGenerator<Buffer, void> {
  sockets.add(raw.socket);
  const chunks = body.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const next = await withinLimit(chunks.next(), idleLimitMs);
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    throw error instanceof UploadStalledError ? error : new UploadBrokenOffError(error);
  } finally {
    sockets.delete(raw.socket);
    if (!body.readableEnded && !body.destroyed) discard(body, lingerMs);
  }
}

function discard(body: Readable, lingerMs: number): void {
  const timer = setTimeout(() => body.destroy(), lingerMs).unref();
  body.on('error', () => {});
  body.once('close', () => clearTimeout(timer));
  body.once('end', () => clearTimeout(timer));
  body.resume();
}

async function withinLimit<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UploadStalledError()), milliseconds);
  });
  // Whichever comes second is of no interest.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
