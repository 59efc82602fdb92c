import Fastify, { type FastifyInstance } from 'fastify';
import { ObjectId } from 'mongodb';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { MachineCaller, MemberCaller } from '../../src/access/caller.ts';
import { createMongoClient } from '../../src/database/mongo-client.ts';
import { addProblemDetails, problemResponses } from '../../src/http/problem-details.ts';
import { addRequestId } from '../../src/http/request-id.ts';
import {
  addLimitReports,
  addRateLimits,
  type DeclaredLimit,
} from '../../src/rate-limits/rate-limit-plugin.ts';
import { ROUTE_POLICIES } from '../../src/rate-limits/route-limits.ts';
import { expectProblem, tally } from '../support/api.ts';
import { sharing } from '../support/guessing.ts';
import { limitsIn, post, retryAfter } from '../support/limits.ts';
import {
  expectStatus,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const HOUR_MS = 60 * 60_000;
const { quota } = ROUTE_POLICIES.signup;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ settings: { rateLimits: true } });
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(async () => {
  await service.db.collection('rate_limits').deleteMany({});
});

/** A sign-up that is refused as invalid, after it was counted: cheaper than one that creates something. */
const invalidSignUp = (address: string, at: TestService = service, headers = {}) =>
  post(at, '/org/create', {}, address, headers);

async function remaining(address: string, at?: TestService, headers?: object): Promise<unknown> {
  return limitsIn(await invalidSignUp(address, at, headers), 'ratelimit').signup?.r;
}

describe('sign-up', () => {
  test('is limited by address, over all instances, until the window is over', async () => {
    await using other = await startTestService(sharing(service));
    const instances = Array.from({ length: quota + 20 }, (_, n) => (n % 2 ? service : other));
    const answers = await Promise.all(instances.map((one) => invalidSignUp('192.0.2.1', one)));
    expect(tally(answers)).toEqual({
      '422 validation_failed': quota,
      '429 rate_limit_exceeded': 20,
    });
    const refused = await post(service, '/org/create', someSignUp(), '192.0.2.1');
    expectProblem(refused, 429, 'rate_limit_exceeded');
    expect(retryAfter(refused)).toBe(3_600);
    expectStatus(await post(service, '/org/create', someSignUp(), '192.0.2.2'), 201);
    service.clock.advance(HOUR_MS - 1_000);
    expect(retryAfter(await invalidSignUp('192.0.2.1'))).toBe(1);
    service.clock.advance(1_000);
    expectStatus(await post(service, '/org/create', someSignUp(), '192.0.2.1'), 201);
  });

  test('says on every answer what is left', async () => {
    const policy = { signup: { q: quota, w: 3_600 } };
    const signUp = someSignUp();
    const answers = [
      await post(service, '/org/create', signUp, '192.0.2.3'),
      await post(service, '/org/create', signUp, '192.0.2.3'),
      await invalidSignUp('192.0.2.3'),
    ];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 409, 422]);
    for (const [n, answer] of answers.entries()) {
      expect(limitsIn(answer, 'ratelimit-policy')).toMatchObject(policy);
      expect(limitsIn(answer, 'ratelimit')).toMatchObject({
        signup: { r: quota - 1 - n, t: 3_600 },
      });
    }
    const { headers } = await service.app.inject({ url: '/health/live' });
    expect(headers).not.toHaveProperty('ratelimit-policy');
  });

  test('counts an IPv6 network of 64 bits as one', async () => {
    expect(await remaining('2001:db8::1')).toBe(quota - 1);
    expect(await remaining('2001:db8::ffff:ffff:ffff:ffff')).toBe(quota - 2);
    expect(await remaining('2001:db8:0:1::1')).toBe(quota - 1);
  });

  test('20 at once are 20', async () => {
    const signUp = someSignUp();
    const all = Array.from({ length: 20 }, () => post(service, '/org/create', signUp, '192.0.2.4'));
    expect(tally(await Promise.all(all))).toEqual({ '201': 1, '409 organization_name_taken': 19 });
  });
});

describe('other limited routes', () => {
  test('refreshing has a limit of its own', async () => {
    const answer = await post(service, '/admin/refresh', { refresh_token: 'x' }, '192.0.2.5');
    expectProblem(answer, 401, 'invalid_refresh_token');
    const { quota: q } = ROUTE_POLICIES.refresh;
    expect(limitsIn(answer, 'ratelimit-policy')).toEqual({ refresh: { q, w: 900 } });
    expect(limitsIn(answer, 'ratelimit')).toEqual({ refresh: { r: q - 1, t: 900 } });
    expect(await remaining('192.0.2.5')).toBe(quota - 1);
  });

  test('are limited on a bare database too: 503 while it is away', async () => {
    const client = createMongoClient('mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50');
    await using away = await startTestService({
      clientView: () => client,
      start: false,
      settings: { rateLimits: true },
    });
    for (const url of ['/org/create', '/admin/refresh', '/admin/login']) {
      const body = { email: 'ada@acme.example', password: 'x', refresh_token: 'x' };
      const { email, password, refresh_token } = body;
      const payload = url === '/admin/refresh' ? { refresh_token } : { email, password };
      const answer = await post(away, url, payload, '192.0.2.6');
      expectProblem(answer, 503, 'database_unavailable');
      expect(retryAfter(answer)).toBeGreaterThan(0);
    }
    await client.close();
  });
});

describe('a limit that a route declares', () => {
  /** An application with one limited route, on the service's counts. */
  async function appWith(
    rateLimit: readonly DeclaredLimit[],
    caller: MemberCaller | MachineCaller | null = null,
  ): Promise<FastifyInstance> {
    const app = Fastify();
    addProblemDetails(app);
    addRequestId(app);
    addLimitReports(app);
    app.decorateRequest('caller', null);
    app.addHook('onRequest', async (request) => {
      request.caller = caller;
    });
    addRateLimits(app, service.services.routeLimits);
    const response = { 200: { type: 'object' }, ...problemResponses(429) };
    app.post('/limited', { config: { rateLimit }, schema: { response } }, async () => ({}));
    await app.ready();
    return app;
  }

  const send = (app: FastifyInstance, payload: object = {}) =>
    post({ app }, '/limited', payload, '192.0.2.7');
  const someMember = (): MemberCaller => ({
    ...{
      kind: 'member',
      adminId: new ObjectId(),
      sessionEra: null,
      sessionId: new ObjectId(),
      role: 'owner',
    },
    ...{ organizationId: new ObjectId(), permissions: new Set() },
  });

  test('may count by the account that the body names, beside the address', async () => {
    const app = await appWith(['passwordReset', 'passwordResetAccount']);
    for (let n = 0; n < 5; n += 1)
      expectStatus(
        await send(app, { email: n % 2 ? 'Ada@acme.example' : 'ada@acme.example' }),
        200,
      );
    const refused = await send(app, { email: 'ada@acme.example' });
    expectProblem(refused, 429, 'rate_limit_exceeded');
    expect(limitsIn(refused, 'ratelimit')).toEqual({
      'password-reset': { r: 14, t: 3_600 },
      'password-reset-account': { r: 0, t: 3_600 },
    });
    for (let n = 0; n < 14; n += 1)
      expectStatus(await send(app, { email: `somebody-${n}@acme.example` }), 200);
    expectProblem(await send(app, { email: 'bob@acme.example' }), 429, 'rate_limit_exceeded');
    await app.close();
  });

  test('may count by organization', async () => {
    const caller = someMember();
    const app = await appWith(['invitation'], caller);
    const last = async () => limitsIn(await send(app), 'ratelimit').invitation?.r;
    const { quota: most } = ROUTE_POLICIES.invitation;
    expect(await last()).toBe(most - 1);
    caller.adminId = new ObjectId();
    expect(await last()).toBe(most - 2);
    caller.organizationId = new ObjectId();
    expect(await last()).toBe(most - 1);
    await app.close();
  });

  test('may count by caller, a person or a machine', async () => {
    const { organizationId, permissions } = someMember();
    const machine = {
      kind: 'api_key',
      apiKeyId: new ObjectId(),
      expiresAt: null,
      organizationId,
      permissions,
    } as const;
    const { quota: most } = ROUTE_POLICIES.emailChange;
    for (const caller of [someMember(), someMember(), machine]) {
      const app = await appWith(['emailChange'], caller);
      for (let n = 1; n <= most; n += 1)
        expect(limitsIn(await send(app), 'ratelimit')['email-change']?.r).toBe(most - n);
      expectProblem(await send(app), 429, 'rate_limit_exceeded');
      await app.close();
    }
  });

  test('by caller, on a route that has none, is a bug that shows', async () => {
    const app = await appWith(['invitation']);
    expectProblem(await send(app), 500, 'internal_error');
    await app.close();
  });
});

describe('behind a proxy', () => {
  const forwarded = (chain: string) => ({ 'x-forwarded-for': chain });

  test('that the service was not told of, X-Forwarded-For is not believed', async () => {
    for (let n = 1; n <= 5; n += 1)
      expect(await remaining('192.0.2.8', service, forwarded(`203.0.113.${n}`))).toBe(quota - n);
  });

  test('that the service was not told of, it is said once', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
    for (const options of [
      { ...sharing(service), logger },
      { ...sharing(service), logger, trustProxy: 1 },
    ]) {
      await using one = await startTestService(options);
      for (let n = 0; n < 3; n += 1)
        await invalidSignUp('192.0.2.8', one, forwarded('203.0.113.1'));
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('set TRUST_PROXY');
  });

  test('counted in hops, the last entries count and made-up ones before them do not', async () => {
    await using one = await startTestService({ ...sharing(service), trustProxy: 1 });
    expect(await remaining('10.0.0.1', one, forwarded('203.0.113.1'))).toBe(quota - 1);
    expect(await remaining('10.0.0.1', one, forwarded('203.0.113.2'))).toBe(quota - 1);
    for (let n = 2; n <= 4; n += 1)
      expect(await remaining('10.0.0.1', one, forwarded(`1.1.1.${n}, 203.0.113.1`))).toBe(
        quota - n,
      );
    await using two = await startTestService({ ...sharing(service), trustProxy: 2 });
    const chain = forwarded('1.1.1.9, 203.0.113.1, 10.0.0.2');
    expect(await remaining('10.0.0.1', two, chain)).toBe(quota - 5);
  });

  test('known by its address, nobody else is believed', async () => {
    await using known = await startTestService({
      ...sharing(service),
      trustProxy: ['10.0.0.0/8', '2001:db8:f::/48'],
    });
    const chain = forwarded('1.1.1.1, 203.0.113.9, 10.9.9.9');
    expect(await remaining('10.0.0.1', known, chain)).toBe(quota - 1);
    expect(await remaining('2001:db8:f::1', known, chain)).toBe(quota - 2);
    expect(await remaining('::ffff:10.0.0.1', known, chain)).toBe(quota - 3);
    // Somebody who came round the proxy.
    expect(await remaining('192.0.2.9', known, chain)).toBe(quota - 1);
    expect(await remaining('192.0.2.9', known, forwarded('203.0.113.10'))).toBe(quota - 2);
  });

  test.each([
    ['with a port', '203.0.113.20:4711', '203.0.113.20'],
    ['of IPv6 with a port', '[2001:db8:a::1]:4711', '2001:db8:a::1'],
    ['in brackets', '[2001:db8:b::1]', '2001:db8:b::1'],
    ['that is none', 'unknown', '10.0.0.30'],
    ['that is none, and long', 'x'.repeat(5_000), '10.0.0.31'],
  ])('that gives an address %s', async (_, word, counted) => {
    await using one = await startTestService({ ...sharing(service), trustProxy: 1 });
    const proxy = counted.startsWith('10.') ? counted : '10.0.0.29';
    expect(await remaining(proxy, one, forwarded(word))).toBe(quota - 1);
    expect(await remaining(counted)).toBe(quota - 2);
  });
});
