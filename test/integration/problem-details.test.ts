import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMongoClient } from '../../src/database/mongo-client.ts';
import { randomIds } from '../../src/ids.ts';
import { apiOf, bearer, expectProblem } from '../support/api.ts';
import {
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let service: TestService;
let acme: SignedUp;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
});
afterAll(() => service[Symbol.asyncDispose]());

const inject = (options: InjectOptions) => service.app.inject(options);

/** Where each route is, and what it allows. */
const ROUTES: Record<string, string[]> = {
  '/org/create': ['POST'],
  '/org/get': ['GET', 'HEAD'],
  '/org/update': ['PUT'],
  '/org/delete': ['DELETE'],
  '/admin/login': ['POST'],
  '/admin/refresh': ['POST'],
  '/admin/logout': ['POST'],
  '/health/live': ['GET', 'HEAD'],
  '/health/ready': ['GET', 'HEAD'],
  '/openapi.json': ['GET', 'HEAD'],
};
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const;

describe('X-Request-Id', () => {
  test.each(['abc', 'A.b:c_d-1', 'x'.repeat(128), '7f0d8a54-6f3e-4b7e-9d59-3d6a7c2f1b10'])(
    '%s is kept',
    async (id) => {
      const response = await inject({ url: '/org/get', headers: { 'x-request-id': id } });
      expect(response.headers['x-request-id']).toBe(id);
      expect(expectProblem(response, 400, 'invalid_querystring').request_id).toBe(id);
    },
  );

  test.each([
    '',
    ' ',
    'two words',
    'x'.repeat(129),
    'x'.repeat(10_000),
    'quote"',
    '<script>',
    '{"a":1}',
    'ünïcode',
    'tab\there',
    '../../x',
    '\u001b[31mred',
  ])('%j is replaced', async (id) => {
    const response = await inject({ url: '/org/get', headers: { 'x-request-id': id } });
    expect(response.headers['x-request-id']).toMatch(UUID);
    expectProblem(response, 400, 'invalid_querystring');
  });

  test('is on every answer, and another one each time', async () => {
    const urls = ['/health/live', '/nowhere', '/org/get', '/docs', '/openapi.json', '/%zz'];
    const responses = await Promise.all(urls.map((url) => inject({ url })));
    const ids = responses.map(({ headers }) => String(headers['x-request-id']));
    for (const id of ids) expect(id).toMatch(UUID);
    expect(new Set(ids).size).toBe(urls.length);
  });
});

describe('404', () => {
  test.each([
    ['GET', '/nowhere'],
    ['GET', '/org'],
    ['GET', '/org/get/'],
    ['GET', '/org/get/more'],
    ['GET', '/ORG/GET'],
    ['GET', '//org/get'],
    ['POST', '/nowhere'],
    ['DELETE', '/'.repeat(1_000)],
    ['GET', `/${'x'.repeat(5_000)}`],
    ['GET', '/../../etc/passwd'],
    ['GET', '/%2e%2e/%2e%2e/etc/passwd'],
    ['GET', '/docs/static/../../package.json'],
    ['GET', '/docs/static/%2e%2e/%2e%2e/package.json'],
    ['GET', '/__proto__'],
  ] as const)('%s %s', async (method, url) => {
    expectProblem(await inject({ method, url }), 404, 'route_not_found');
  });

  test('says nothing of the query, where a secret may be', async () => {
    const response = await inject({ url: '/nowhere?token=secret' });
    expectProblem(response, 404, 'route_not_found');
    expect(response.body).not.toContain('secret');
  });

  test('is the same for what does not exist and for what may not be seen', async () => {
    await using other = await startTestService({ database: service.settings.masterDatabase });
    const response = await apiOf(other).get('does not exist');
    expectProblem(response, 404, 'organization_not_found');
  });
});

describe('405', () => {
  const refused = Object.entries(ROUTES).flatMap(([url, allowed]) =>
    METHODS.filter((method) => !allowed.includes(method)).map((method) => ({
      method,
      url,
      allowed,
    })),
  );

  test.each(refused)('$method $url', async ({ method, url, allowed }) => {
    const response = await inject({ method, url });
    expect(response.headers.allow).toBe(allowed.join(', '));
    if (method === 'HEAD') expect(response.statusCode).toBe(405);
    else expectProblem(response, 405, 'method_not_allowed');
  });

  test('comes before anything is asked of token, body or Content-Type', async () => {
    const headers = { authorization: 'nonsense', 'content-type': 'text/nonsense' };
    const response = await inject({ method: 'POST', url: '/org/update', headers, payload: '{' });
    expectProblem(response, 405, 'method_not_allowed');
  });
});

describe('400 for a URL that cannot be read', () => {
  test.each(['/%zz', '/org/%', '/org/get%ff', '/%c3%28', '/nowhere?a=%zz'])('%s', async (url) => {
    const response = await inject({ url });
    expectProblem(response, 400, 'malformed_url');
    expect(response.headers['x-content-type-options']).toBe('nosniff');
  });
});

describe('401', () => {
  test.each(['/org/update', '/org/delete', '/admin/logout'])(
    '%s without a token asks for one, and gives no error code (RFC 6750)',
    async (url) => {
      const [method] = ROUTES[url] ?? [];
      const response = await inject({ method: method as 'PUT', url });
      expectProblem(response, 401, 'authentication_required');
      expect(response.headers['www-authenticate']).toBe('Bearer realm="tenantry"');
    },
  );

  test('comes before the body is looked at', async () => {
    const response = await inject({ method: 'PUT', url: '/org/update', payload: { nonsense: 1 } });
    expectProblem(response, 401, 'authentication_required');
  });
});

describe('headers of every answer', () => {
  const requests: [string, InjectOptions][] = [
    ['200', { url: '/health/live' }],
    ['302', { url: '/' }],
    ['400', { url: '/org/get' }],
    ['401', { method: 'PUT', url: '/org/update' }],
    ['404', { url: '/nowhere' }],
    ['405', { method: 'PUT', url: '/org/get' }],
    [
      '415',
      { method: 'POST', url: '/org/create', headers: { 'content-type': 'a/b' }, payload: 'x' },
    ],
    ['422', { method: 'POST', url: '/org/create', payload: {} }],
  ];

  test.each(requests)('%s', async (status, options) => {
    const { headers, statusCode } = await inject(options);
    expect(statusCode).toBe(Number(status));
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': expect.stringMatching(/^(SAMEORIGIN|DENY)$/),
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
    expect(headers).not.toHaveProperty('x-powered-by');
    expect(headers).not.toHaveProperty('server');
    expect(headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('503', () => {
  test('with Retry-After while the database is away, and never with the driver’s words', async () => {
    const client = createMongoClient('mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50');
    await using away = await startTestService({ clientView: () => client, start: false });
    const api = apiOf(away);
    const { access_token } = acme.tokens;
    const { email, password } = acme.signUp;
    const responses = await Promise.all([
      api.get(acme.organization.organization_name),
      api.get(undefined, bearer({ access_token })),
      api.create(someSignUp()),
      api.create(someSignUp(), { headers: { 'idempotency-key': 'k' } }),
      api.update({ metadata: {} }, bearer({ access_token })),
      api.remove(bearer({ access_token })),
      api.login({ email, password }),
      api.refresh(acme.tokens.refresh_token),
      api.logout(bearer({ access_token })),
    ]);
    for (const response of responses) {
      expectProblem(response, 503, 'database_unavailable');
      expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
      expect(response.body).not.toMatch(/127\.0\.0\.1|mongo|ECONN|select/i);
    }
    const ready = await away.app.inject({ url: '/health/ready' });
    expect(ready.statusCode).toBe(503);
    expect(Number(ready.headers['retry-after'])).toBeGreaterThan(0);
    expect(ready.json()).toMatchObject({
      status: 'not_ready',
      checks: { database: { ok: false } },
    });
    expect((await away.app.inject({ url: '/health/live' })).statusCode).toBe(200);
    await client.close();
  });
});

describe('500', () => {
  test('is a problem that tells nobody what broke', async () => {
    const objectId = () => {
      throw new Error('a detail of the inside');
    };
    await using broken = await startTestService({ ids: { ...randomIds, objectId } });
    const response = await apiOf(broken).create(someSignUp());
    expectProblem(response, 500, 'internal_error');
    expect(response.body).not.toMatch(/detail of the inside|\.ts\b|at \w/);
  });
});
