import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PermissionDeniedError, PersonRequiredError } from '../access/access-errors.ts';
import type { AccessService, Freshness } from '../access/access-service.ts';
import type { Caller, MemberCaller, OperatorCaller } from '../access/caller.ts';
import { AppError } from '../errors.ts';
import { OperatorRequiredError, OrganizationRequiredError } from '../operators/operator-errors.ts';
import type { Permission } from '../roles/permissions.ts';
import { AuthenticationRequiredError, InvalidTokenError } from '../sessions/session-errors.ts';

/**
 * What a route asks of its caller: a permission in the organization, only to be a person who is signed in, or to be an
 * operator, which nobody of an organization is.
 */
export type RoutePermission = Permission | 'self' | 'operator';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is asking; null on public routes without a token. */
    caller: Caller | null;
    /** Which operator is asking; null on every other route. */
    operator: OperatorCaller | null;
  }
  interface FastifyContextConfig {
    /** What the caller has to be allowed. Every authenticated route names it. */
    permission?: RoutePermission;
    /**
     * How old the answer to "may the caller do this?" may be. By default a route that only reads takes one of the last
     * second, and one that changes something asks anew.
     */
    freshness?: Freshness;
  }
}

/** Prepares requests to carry a caller. */
export function addCaller(app: FastifyInstance): void {
  app.decorateRequest('caller', null);
  app.decorateRequest('operator', null);
}

/** Makes every route of a scope need a token, and a caller who may do what the route's `config.permission` names. */
export function requireCaller(scope: FastifyInstance, access: AccessService): void {
  requireOneOf(scope, access, (permission) => permission !== 'operator');
}

/** Makes every route of a scope need the token of an operator. Each declares it: `config.permission` is `operator`. */
export function requireOperator(scope: FastifyInstance, access: AccessService): void {
  requireOneOf(scope, access, (permission) => permission === 'operator');
}

function requireOneOf(
  scope: FastifyInstance,
  access: AccessService,
  isOfScope: (permission: RoutePermission) => boolean,
): void {
  scope.addHook('onRoute', ({ url, method, config, schema }) => {
    if (schema?.hide === true) return;
    if (config?.permission === undefined)
      throw new Error(`${method} ${url} is authenticated and declares no permission`);
    if (!isOfScope(config.permission))
      throw new Error(`${method} ${url} declares the permission of another scope`);
    // For readers of the document, and for the test that goes through every route.
    Object.assign(schema ?? {}, { 'x-permission': config.permission });
  });
  const admit = async (request: FastifyRequest, freshness: Freshness) => {
    const caller = await admittedOf(access, request, freshness);
    if (caller.kind === 'operator') request.operator = caller;
    else request.caller = caller;
  };
  // Spares reading the body of a request that will be refused.
  scope.addHook('onRequest', async (request) => {
    try {
      await admit(request, 'recent');
    } catch (error) {
      // Who would be refused by what was true a moment ago may be allowed by now. A database that is away has been waited
      // for already, perhaps together with another request.
      const isAway = error instanceof AppError && error.kind === 'unavailable';
      if (isAway || !isCurrent(request)) throw error;
      await admit(request, 'current');
    }
  });
  // A client may take half a minute to send its body: what it may do by then is what counts.
  scope.addHook('preValidation', async (request) => {
    if (isCurrent(request)) await admit(request, 'current');
  });
}

/**
 * For work that takes longer than a moment: whoever may no longer do what the route is for must not go on doing it.
 *
 * @returns asks whether the caller is still allowed to, by what was true at most a second ago, and throws what a new request
 *   would be refused with
 */
export function stillAllowed(access: AccessService, request: FastifyRequest): () => Promise<void> {
  return async () => {
    await admitted(access, request, 'recent');
  };
}

/**
 * Who sends a request, if they may do what its route asks for. An answer that goes on for long asks again.
 *
 * @throws AppError `unauthenticated` or `forbidden` when they may not
 */
export async function admitted(
  access: AccessService,
  request: FastifyRequest,
  freshness: Freshness,
): Promise<Caller> {
  const caller = await admittedOf(access, request, freshness);
  if (caller.kind === 'operator') throw new OrganizationRequiredError();
  return caller;
}

async function admittedOf(
  access: AccessService,
  request: FastifyRequest,
  freshness: Freshness,
): Promise<Caller | OperatorCaller> {
  const token = bearerToken(request);
  if (token === undefined) throw new AuthenticationRequiredError();
  const { permission } = request.routeOptions.config;
  const caller = await access.identify(token, freshness);
  if (permission === undefined) throw new Error('the route declares no permission');
  assertAllowed(caller, permission);
  return caller;
}

function isCurrent({ method, routeOptions }: FastifyRequest): boolean {
  return (routeOptions.config.freshness ?? freshnessOf(method)) === 'current';
}

/**
 * For public routes that tell members more, or let them do more: a hook of `onRequest` for those that only read, and of
 * `preValidation`, when the body is there, for the others. A token that is sent has to be good.
 */
export function acceptCaller(access: AccessService): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const token = bearerToken(request);
    if (token !== undefined)
      request.caller = await access.authenticate(token, freshnessOf(request.method));
  };
}

/** The caller of an authenticated route. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error('the route is not in an authenticated scope');
  return request.caller;
}

/** The caller of a route for people. @throws PersonRequiredError */
export function memberOf(request: FastifyRequest): MemberCaller {
  const caller = callerOf(request);
  if (caller.kind !== 'member') throw new PersonRequiredError();
  return caller;
}

/** The caller of a route for operators. */
export function operatorOf(request: FastifyRequest): OperatorCaller {
  if (request.operator === null) throw new Error('the route is not in the scope of operators');
  return request.operator;
}

/**
 * For a public route that at times is for operators alone: a hook of `preValidation`.
 *
 * @param refusal - what everybody else is told
 * @throws InvalidTokenError, TokenExpiredError and OrganizationSuspendedError for a token that is not good
 */
export function demandOperator(
  access: AccessService,
  refusal: () => AppError,
): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const token = bearerToken(request);
    const caller = token === undefined ? undefined : await access.identify(token, 'current');
    if (caller?.kind !== 'operator') throw refusal();
    request.operator = caller;
  };
}

function assertAllowed(caller: Caller | OperatorCaller, permission: RoutePermission): void {
  if (permission === 'operator') {
    if (caller.kind !== 'operator') throw new OperatorRequiredError();
  } else if (caller.kind === 'operator') throw new OrganizationRequiredError();
  else if (permission === 'self') {
    if (caller.kind !== 'member') throw new PersonRequiredError();
  } else if (!caller.permissions.has(permission)) throw new PermissionDeniedError(permission);
}

/** RFC 9110, 9.2.1: safe methods change nothing. */
function freshnessOf(method: string): Freshness {
  return method === 'GET' || method === 'HEAD' ? 'recent' : 'current';
}

/** @returns the token of `Authorization: Bearer` (RFC 6750, 2.1), or undefined without the header */
function bearerToken(request: FastifyRequest): string | undefined {
  const header = request.headers.authorization;
  if (header === undefined) return undefined;
  // Node goes by the first of several; what stands in front of the service may have gone by another.
  if (timesSent(request, 'authorization') > 1)
    throw new InvalidTokenError('There is more than one Authorization header.');
  const token = /^Bearer +([\w~+/.-]+=*)$/i.exec(header.trim())?.[1];
  if (token === undefined)
    throw new InvalidTokenError('The Authorization header is not of the form "Bearer <token>".');
  return token;
}

function timesSent({ raw }: FastifyRequest, name: string): number {
  return raw.rawHeaders.filter((one, index) => index % 2 === 0 && one.toLowerCase() === name)
    .length;
}
