import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { AppError } from '../errors.ts';
import type { Stopping } from '../stopping.ts';

/** The service takes no more requests. */
export class StoppingError extends AppError {
  constructor() {
    super('unavailable', 'stopping', 'This instance is about to stop. Try again: another serves.', {
      retryAfter: 1,
    });
  }
}

/** How long {@link drain} takes at most. */
export interface DrainLimits {
  /** So long new connections and requests are answered, with 503, instead of being refused by the operating system. */
  lingerMs: number;
  /** So long requests under way may take, from the beginning. */
  requestsMs: number;
}

const LIMITS: DrainLimits = { lingerMs: 2_000, requestsMs: 5_000 };
const LOOK_EVERY_MS = 20;

/**
 * Once the service begins to stop: answers new requests with 503 and `Connection: close`, and closes the connection of every
 * request under way after its answer. So no client meets a connection that is closed while it sends.
 */
export function addDraining(app: FastifyInstance, stopping: Stopping): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const refuse = stopping.begun && request.routeOptions.config.alwaysAnswers !== true;
    done(refuse ? new StoppingError() : undefined);
  });
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (stopping.begun) reply.header('connection', 'close');
    done(null, payload);
  });
  // However it is closed.
  app.addHook('preClose', (done) => {
    stopping.begin();
    done();
  });
}

/**
 * Stops serving: see {@link addDraining}. The port stays open until no client is connected any more, or for `lingerMs`,
 * since a connection that waits to be accepted when a port closes is reset. Then waits for the requests under way, and cuts
 * off those that take too long.
 */
export async function drain(
  app: FastifyInstance,
  stopping: Stopping,
  logger: Pick<FastifyBaseLogger, 'warn'>,
  limits: DrainLimits = LIMITS,
): Promise<void> {
  const startedAt = performance.now();
  const passed = () => performance.now() - startedAt;
  stopping.begin();
  while (passed() < limits.lingerMs && (await connectionsOf(app)) > 0) await delay(LOOK_EVERY_MS);
  const closed = Promise.resolve(app.close());
  const timer = new AbortController();
  const tooLate = delay(Math.max(0, limits.requestsMs - passed()), 'late', {
    signal: timer.signal,
  }).catch(() => undefined);
  if ((await Promise.race([closed, tooLate])) === 'late') {
    const connections = await connectionsOf(app);
    logger.warn({ connections }, 'cutting off requests that take too long to wait for');
    app.server.closeAllConnections();
    // A second server, which there is when HOST is a name of two addresses, ends with the process.
    await Promise.race([closed, delay(LOOK_EVERY_MS)]);
  }
  timer.abort();
}

function connectionsOf({ server }: FastifyInstance): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((error, count) => resolve(error === null ? count : 0));
  });
}
