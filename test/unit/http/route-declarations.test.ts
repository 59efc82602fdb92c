import Fastify, { type RouteOptions } from 'fastify';
import { describe, expect, test } from 'vitest';
import type { AccessService } from '../../../src/access/access-service.ts';
import { addCaller, requireCaller } from '../../../src/http/authentication.ts';
import { addDeclaredResponses } from '../../../src/http/declared-responses.ts';
import { addLimitReports, addRateLimits } from '../../../src/rate-limits/rate-limit-plugin.ts';
import type { RouteLimits } from '../../../src/rate-limits/route-limits.ts';

const handler = async () => ({ ok: true });
const response: Record<number, object> = {
  200: { type: 'object', additionalProperties: true },
};

function appReporting(reports: string[]) {
  const app = Fastify();
  addDeclaredResponses(app, (route, status) => reports.push(`${route} ${status}`));
  return app;
}

describe('responses', () => {
  test('a route that lists none is refused at start', () => {
    const app = appReporting([]);
    const route: RouteOptions = { method: 'GET', url: '/x', handler };
    expect(() => app.route(route)).toThrow('GET /x declares no responses');
    expect(() => app.route({ ...route, schema: {} })).toThrow('declares no responses');
    expect(() => app.route({ ...route, schema: { hide: true } })).not.toThrow();
  });

  test('an answer with a status that is not listed is reported, one that is listed is not', async () => {
    const reports: string[] = [];
    const app = appReporting(reports);
    app.get('/listed', { schema: { response } }, handler);
    app.get('/other', { schema: { response } }, (_request, reply) => reply.code(418).send({}));
    await app.inject({ url: '/listed' });
    expect(reports).toEqual([]);
    await app.inject({ url: '/other' });
    expect(reports).toEqual(['GET /other 418']);
    await app.close();
  });
});

describe('permissions', () => {
  test('a route of an authenticated scope that names none is refused at start', () => {
    const app = Fastify();
    addCaller(app);
    // Never called: the refusal is at start.
    requireCaller(app, {} as AccessService);
    const route: RouteOptions = { method: 'GET', url: '/x', schema: { response }, handler };
    expect(() => app.route(route)).toThrow('GET /x is authenticated and declares no permission');
    const allowed = { ...route, config: { permission: 'org:read' as const } };
    expect(() => app.route(allowed)).not.toThrow();
  });
});

describe('rate limits', () => {
  test('a limited route that does not declare 429 is refused at start', () => {
    const app = Fastify();
    addLimitReports(app);
    // Never called: the refusal is at start.
    addRateLimits(app, {} as RouteLimits);
    const config = { rateLimit: ['signup'] as const };
    const route: RouteOptions = {
      method: 'POST',
      url: '/x',
      config,
      schema: { response },
      handler,
    };
    expect(() => app.route(route)).toThrow('POST /x is limited and does not declare 429');
    const declared = { response: { ...response, 429: { type: 'object' } } };
    expect(() => app.route({ ...route, schema: declared })).not.toThrow();
  });
});
