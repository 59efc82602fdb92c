import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { AppError } from '../errors.ts';
import { type Permission, roleGrants } from '../roles/permissions.ts';
import { AuthenticationRequiredError, InvalidTokenError } from '../sessions/session-errors.ts';
import type { Caller, SessionService } from '../sessions/session-service.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is asking; null on public routes without a token. */
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    /** What the caller's role has to allow. Every authenticated route names one. */
    permission?: Permission;
  }
}

class PermissionDeniedError extends AppError {
  constructor(permission: Permission) {
    super(
      'forbidden',
      'permission_denied',
      `Your role does not include the permission ${permission}.`,
    );
  }
}

/** Prepares requests to carry a caller. */
export function addCaller(app: FastifyInstance): void {
  app.decorateRequest('caller', null);
}

/** Makes every route of a scope need a token, and a role that allows what the route's `config.permission` names. */
export function requireCaller(scope: FastifyInstance, sessions: SessionService): void {
  scope.addHook('onRoute', ({ url, method, config, schema }) => {
    if (config?.permission === undefined && schema?.hide !== true)
      throw new Error(`${method} ${url} is authenticated and declares no permission`);
  });
  scope.addHook('onRequest', async (request) => {
    const token = bearerToken(request);
    if (token === undefined) throw new AuthenticationRequiredError();
    const caller = await sessions.authenticate(token);
    const { permission } = request.routeOptions.config;
    if (permission === undefined || !roleGrants(caller.role, permission))
      throw new PermissionDeniedError(permission ?? 'org:read');
    request.caller = caller;
  });
}

/** For public routes that tell members more. A token that is sent has to be good. */
export function acceptCaller(sessions: SessionService): onRequestAsyncHookHandler {
  return async (request) => {
    const token = bearerToken(request);
    if (token !== undefined) request.caller = await sessions.authenticate(token);
  };
}

/** The caller of an authenticated route. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Error('the route is not in an authenticated scope');
  return request.caller;
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
