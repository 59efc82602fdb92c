import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { expect } from 'vitest';
import type { Problem } from '../../src/http/problem-details.ts';

/** What a request carries beside its body. */
export interface RequestOptions {
  headers?: Record<string, string>;
  query?: Record<string, string>;
}

type Reply = Promise<LightMyRequestResponse>;

/** The operations, as a client calls them. Bodies are sent as they are given, right or wrong. */
export interface Api {
  create(body: unknown, options?: RequestOptions): Reply;
  get(organizationName?: string, options?: RequestOptions): Reply;
  update(body: unknown, options?: RequestOptions): Reply;
  remove(options?: RequestOptions & { body?: unknown }): Reply;
  login(body: unknown, options?: RequestOptions): Reply;
  loginByForm(fields: Record<string, string>): Reply;
  refresh(token: unknown, options?: RequestOptions): Reply;
  logout(options?: RequestOptions): Reply;
  me(options?: RequestOptions): Reply;
  changeMe(body: unknown, options?: RequestOptions): Reply;
  beginTotp(body: unknown, options?: RequestOptions): Reply;
  confirmTotp(body: unknown, options?: RequestOptions): Reply;
  removeTotp(body: unknown, options?: RequestOptions): Reply;
  replaceRecoveryCodes(body: unknown, options?: RequestOptions): Reply;
}

/** @param service - one or several instances on one database; with several, requests go round */
export function apiOf(...services: [{ app: FastifyInstance }, ...{ app: FastifyInstance }[]]): Api {
  let sent = 0;
  const send = (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    rest: InjectOptions,
  ) => {
    const { app } = services[sent++ % services.length] ?? services[0];
    return app.inject({ method, url, ...rest });
  };
  const withBody = (body: unknown, { headers, query }: RequestOptions = {}): InjectOptions => ({
    ...(query && { query }),
    ...(body === undefined
      ? { ...(headers && { headers }) }
      : {
          headers: { 'content-type': 'application/json', ...headers },
          payload: JSON.stringify(body),
        }),
  });
  return {
    create: (body, options) => send('POST', '/org/create', withBody(body, options)),
    get: (name, { headers, query } = {}) =>
      send('GET', '/org/get', {
        ...(headers && { headers }),
        query: { ...(name !== undefined && { organization_name: name }), ...query },
      }),
    update: (body, options) => send('PUT', '/org/update', withBody(body, options)),
    remove: ({ body, ...options } = {}) => send('DELETE', '/org/delete', withBody(body, options)),
    login: (body, options) => send('POST', '/admin/login', withBody(body, options)),
    loginByForm: (fields) =>
      send('POST', '/admin/login', {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: new URLSearchParams(fields).toString(),
      }),
    refresh: (token, options) =>
      send('POST', '/admin/refresh', withBody({ refresh_token: token }, options)),
    logout: (options) => send('POST', '/admin/logout', withBody(undefined, options)),
    me: (options) => send('GET', '/admin/me', withBody(undefined, options)),
    changeMe: (body, options) => send('PATCH', '/admin/me', withBody(body, options)),
    beginTotp: (body, options) => send('POST', '/admin/mfa/totp', withBody(body, options)),
    confirmTotp: (body, options) =>
      send('POST', '/admin/mfa/totp/confirm', withBody(body, options)),
    removeTotp: (body, options) => send('DELETE', '/admin/mfa/totp', withBody(body, options)),
    replaceRecoveryCodes: (body, options) =>
      send('POST', '/admin/mfa/recovery-codes', withBody(body, options)),
  };
}

/** The header for a token. */
export function bearer(tokens: { access_token: string }): { headers: { authorization: string } } {
  return { headers: { authorization: `Bearer ${tokens.access_token}` } };
}

/** Asserts that an answer is a well-formed problem (RFC 9457) of this status and code, and returns it. */
export function expectProblem(
  response: LightMyRequestResponse,
  status: number,
  code: string,
): Problem {
  expect(`${response.statusCode} ${response.body}`).toContain(`${status} `);
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json\b/);
  const problem = response.json<Problem>();
  expect(problem).toMatchObject({
    type: `urn:tenantry:problem:${code}`,
    title: expect.stringMatching(/./),
    status,
    detail: expect.stringMatching(/./),
    code,
    request_id: response.headers['x-request-id'],
  });
  return problem;
}

/** The JSON Pointers of the fields a problem names, each once. */
export function pathsOf(problem: Problem): string[] {
  return [...new Set((problem.errors ?? []).map(({ path }) => path))];
}

/** How many answers there were of each kind: `{ '201': 1, '409 organization_name_taken': 19 }`. */
export function tally(responses: readonly LightMyRequestResponse[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const response of responses) {
    const { statusCode } = response;
    const kind = statusCode < 400 ? `${statusCode}` : `${statusCode} ${response.json().code}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
