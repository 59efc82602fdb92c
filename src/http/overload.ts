import { getHeapStatistics } from 'node:v8';
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PROBLEM_JSON, problemOf } from './problem-details.ts';
import { WorkLimit } from './work-limit.ts';

/** From where on requests are refused. Zero: no limit. */
export interface OverloadLimits {
  /**
   * How many requests may be worked on at a time, when they are done quickly: see {@link WorkLimit}. Those whose body or answer
   * is on its way are not.
   */
  requestsAtWork: number;
  /** How late the event loop may be, on average over a second. */
  eventLoopDelayMs: number;
  /** Of the heap's limit, how much may be in use. */
  heapShare: number;
}

/**
 * Requests at work: a few times the driver's connections (100), so that every connection is busy. Without a limit, and with
 * thousands of clients, everybody would be served too late.
 *
 * The others are what no healthy process comes near, also one that is busy all the time: being busy is no reason to refuse
 * anything, which is why there is no limit on the event loop's utilization. A process past these gets nothing done in time,
 * or is about to be killed for lack of memory.
 */
const LIMITS: OverloadLimits = { requestsAtWork: 256, eventLoopDelayMs: 1_000, heapShare: 0.92 };

const RETRY_AFTER_SECONDS = '2';
const WARN_EVERY_MS = 10_000;

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether it counts as being worked on at present. */
    isAtWork: boolean;
  }
}

/** What {@link addOverloadProtection} is told, and tells. */
export interface OverloadReport {
  /** How many requests wait in a queue with a bound of its own. */
  waitingElsewhere(): number;
  /** Of each request that is refused: no hook of a later plugin runs for it. */
  refused(request: FastifyRequest): void;
}

/**
 * Refuses requests with 503 while the process is past its limits. Register it before everything else: refusing has to cost a
 * small part of what serving costs, or a flood of requests that are refused leaves no time for the others.
 */
export async function addOverloadProtection(
  app: FastifyInstance,
  report: OverloadReport,
  limits: OverloadLimits = LIMITS,
): Promise<void> {
  const work = new WorkLimit({
    ...{ most: limits.requestsAtWork, targetMs: 500, least: 128, burstMs: 500 },
    now: () => performance.now(),
    waitingElsewhere: report.waitingElsewhere,
  });
  const { begin, pause } = marking(work);
  const warn = sometimes(WARN_EVERY_MS, (refused) =>
    app.log.warn(
      { refused, at_work: work.underWay },
      'refusing requests: there are more than can be served',
    ),
  );
  app.decorateRequest('isAtWork', false);
  app.addHook('onRequest', (request, reply, done) => {
    const isExempt = request.routeOptions.config.alwaysAnswers === true;
    if (!isExempt && (!work.allows() || app.isUnderPressure())) {
      refuse(request, reply);
      report.refused(request);
      warn();
      return;
    }
    begin(request);
    reply.raw.once('close', () => pause(request));
    done();
  });
  // A client may take half a minute to send a body, and as long to read an answer.
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    pause(request);
    done();
  });
  app.addHook('preValidation', (request, _reply, done) => {
    begin(request);
    done();
  });
  app.addHook('onSend', (request, _reply, payload, done) => {
    pause(request);
    done(null, payload);
  });
  await app.register(underPressure, {
    maxEventLoopDelay: limits.eventLoopDelayMs,
    maxHeapUsedBytes: Math.round(limits.heapShare * getHeapStatistics().heap_size_limit),
    // Refused above already, unless it is answered in any case.
    pressureHandler: () => {},
  });
}

/** Counts each request once, however often it begins and pauses. */
function marking(work: WorkLimit) {
  return {
    begin(request: FastifyRequest): void {
      // Its client may have gone while the body was read.
      if (request.isAtWork || request.raw.destroyed) return;
      request.isAtWork = true;
      work.begin();
    },
    pause(request: FastifyRequest): void {
      if (!request.isAtWork) return;
      request.isAtWork = false;
      work.end();
    },
  };
}

/** Past the framework, which would do for it most of what it does for an answer. */
function refuse({ id }: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(id, 503, 'Service unavailable', {
    code: 'overloaded',
    message: 'The service has more to do than it can. Try again shortly.',
  });
  reply.hijack();
  reply.raw.writeHead(503, {
    'content-type': `${PROBLEM_JSON}; charset=utf-8`,
    'retry-after': RETRY_AFTER_SECONDS,
    'x-request-id': id,
    'x-content-type-options': 'nosniff',
  });
  reply.raw.end(JSON.stringify(problem));
}

/** Calls `tell` at most every so often, with how often there was something to tell since. */
function sometimes(everyMs: number, tell: (count: number) => void): () => void {
  let count = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  return () => {
    count += 1;
    if (performance.now() - toldAt < everyMs) return;
    tell(count);
    count = 0;
    toldAt = performance.now();
  };
}
