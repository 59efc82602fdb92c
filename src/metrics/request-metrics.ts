import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Seconds. A read takes milliseconds, a sign-in 0.2 s, and a database that is away is given up after 2.25 s. */
const DURATION_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What stands for the route where there is none, whatever was asked for. */
const NO_ROUTE = '(no route)';

/**
 * Rate, errors and duration of requests, by route. A label is always one of a fixed set: the route's pattern, never a URL,
 * of which clients can make up any number.
 */
export class RequestMetrics {
  readonly #duration: Histogram<'method' | 'route' | 'status'>;
  readonly #inFlight: Gauge;
  readonly #problems: Counter<'code'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#duration = new Histogram({
      name: 'tenantry_http_request_duration_seconds',
      help: 'Time from a request to the end of its answer; _count is the number of requests. status is 2xx to 5xx, or aborted when the client hung up.',
      labelNames: ['method', 'route', 'status'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'tenantry_http_requests_in_flight',
      help: 'Requests under way.',
      registers,
    });
    this.#problems = new Counter({
      name: 'tenantry_http_problems_total',
      help: 'Refusals, by the code of the problem.',
      labelNames: ['code'],
      registers,
    });
    // From the beginning, so that the first one is an increase.
    for (const code of ['internal_error', 'overloaded']) this.#problems.inc({ code }, 0);
  }

  begin(): void {
    this.#inFlight.inc();
  }

  /** @param status - undefined: the client went away before it had the whole answer */
  end(method: string, route: string, status: number | undefined, seconds: number): void {
    this.#inFlight.dec();
    const kind = status === undefined ? 'aborted' : `${Math.floor(status / 100)}xx`;
    this.#duration.observe({ method, route, status: kind }, seconds);
  }

  problem(code: string): void {
    this.#problems.inc({ code });
  }

  /** One that was refused before anything was done for it. */
  refused({ method, routeOptions: { url: route = NO_ROUTE } }: FastifyRequest): void {
    this.#duration.observe({ method, route, status: '5xx' }, 0);
    this.problem('overloaded');
  }
}

/** Observes every request that reaches a route, or none. */
export function addRequestMetrics(app: FastifyInstance, metrics: RequestMetrics): void {
  app.addHook('onRequest', (request, reply, done) => {
    metrics.begin();
    const { method, routeOptions } = request;
    const startedAt = performance.now();
    let isSent = false;
    reply.raw.once('finish', () => {
      isSent = true;
    });
    // Comes in any case, also when the client has hung up; `onResponse` does not.
    reply.raw.once('close', () => {
      const seconds = (performance.now() - startedAt) / 1_000;
      const status = isSent || reply.raw.writableFinished ? reply.raw.statusCode : undefined;
      metrics.end(method, routeOptions.url ?? NO_ROUTE, status, seconds);
      if (reply.problemCode !== null) metrics.problem(reply.problemCode);
    });
    done();
  });
}
