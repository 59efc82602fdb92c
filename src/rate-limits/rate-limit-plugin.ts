import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { normalizeEmail } from '../admins/admin-document.ts';
import { clientOf } from '../http/client.ts';
import { GUESS_POLICIES } from './guess-policies.ts';
import { collectingReports, type LimitPolicy, type LimitReports } from './limit-reports.ts';
import { networkOf } from './network.ts';
import { limitField, limitHeaders, policyField } from './rate-limit-headers.ts';
import {
  type LimitSubject,
  ROUTE_POLICIES,
  type RouteLimits,
  type RoutePolicyName,
} from './route-limits.ts';

/** A limit that a route declares: one of its own, or `guesses` where it compares a password. */
export type DeclaredLimit = RoutePolicyName | 'guesses';

declare module 'fastify' {
  interface FastifyRequest {
    /** The limits that this request has met. */
    limitReports: LimitReports | null;
  }
  interface FastifyContextConfig {
    /**
     * The limits on this route. Its answers carry `RateLimit-Policy` and `RateLimit`, and it has to declare 429. `guesses`
     * only says so: it is where a password is compared that failures are counted.
     */
    rateLimit?: readonly DeclaredLimit[];
  }
}

/**
 * Gathers what the limits that a request meets have to say, for the headers of its answer. Before
 * `addDatabasePatience`, which carries the context over the reading of the body.
 */
export function addLimitReports(app: FastifyInstance): void {
  app.decorateRequest('limitReports', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const reports: LimitReports = new Map();
    request.limitReports = reports;
    collectingReports(reports, done);
  });
}

/**
 * Holds routes to the limits that their `config.rateLimit` names. By address before anything else is done; by caller when
 * it is known who that is; by e-mail address when the body has proved valid.
 */
export function addRateLimits(app: FastifyInstance, limits: RouteLimits): void {
  app.addHook('onRoute', document);
  app.addHook('onRequest', async (request) => {
    await take(limits, request, 'address', networkOf(clientOf(request).address));
  });
  app.addHook('preParsing', async (request) => {
    const { caller } = request;
    const callerId = caller?.kind === 'member' ? caller.adminId : caller?.apiKeyId;
    await take(limits, request, 'caller', callerId?.toHexString());
    await take(limits, request, 'organization', caller?.organizationId.toHexString());
  });
  app.addHook('preHandler', async (request) => {
    await take(limits, request, 'email', emailIn(request.body));
  });
  app.addHook('onSend', async (request, reply) => {
    const reports = [...(request.limitReports?.values() ?? [])];
    const declared = request.routeOptions.config.rateLimit ?? [];
    if (!limits.enabled || reports.length + declared.length === 0) return;
    const policies = new Map(
      [...policiesOf(declared), ...reports.map(({ policy }) => policy)].map((one) => [
        one.name,
        one,
      ]),
    );
    reply.header('ratelimit-policy', policyField([...policies.values()]));
    if (reports.length > 0) reply.header('ratelimit', limitField(reports));
  });
}

async function take(
  limits: RouteLimits,
  request: FastifyRequest,
  by: LimitSubject,
  subject: string | undefined,
): Promise<void> {
  for (const name of request.routeOptions.config.rateLimit ?? []) {
    if (name === 'guesses' || ROUTE_POLICIES[name].by !== by) continue;
    if (subject === undefined) throw new Error(`${name} counts by ${by}, which there is none of`);
    await limits.take(ROUTE_POLICIES[name], subject);
  }
}

function emailIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('email' in body)) return undefined;
  return typeof body.email === 'string' ? normalizeEmail(body.email) : undefined;
}

function policiesOf(declared: readonly DeclaredLimit[]): LimitPolicy[] {
  return declared.flatMap((name): readonly LimitPolicy[] =>
    name === 'guesses' ? Object.values(GUESS_POLICIES) : [ROUTE_POLICIES[name]],
  );
}

/** Writes the headers into the document, on every answer of the route. */
function document({ method, url, config, schema }: RouteOptions): void {
  const declared = config?.rateLimit;
  if (declared === undefined || schema === undefined) return;
  const responses = schema.response as Record<string, { headers?: object }>;
  if (responses[429] === undefined)
    throw new Error(`${method} ${url} is limited and does not declare 429`);
  const headers = limitHeaders(policiesOf(declared));
  schema.response = Object.fromEntries(
    Object.entries(responses).map(([status, one]) => [
      status,
      { ...one, headers: { ...one.headers, ...headers } },
    ]),
  );
}
