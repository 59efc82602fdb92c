import { describe, expect, test, vi } from 'vitest';
import { expectProblem, tally } from '../support/api.ts';
import { hold } from '../support/held-request.ts';
import { signUpAndIn, startTestService } from '../support/test-service.ts';

const NONE = { requestsAtWork: 0, eventLoopDelayMs: 0, heapShare: 0 };
const url = '/org/get?organization_name=x';

describe('a process past its limits', () => {
  test('refuses what comes, but says how it is', async () => {
    // No heap is that small, so that the limit is passed without any load.
    await using service = await startTestService({
      overloadLimits: { ...NONE, heapShare: 0.0001 },
    });
    // It looks once a second.
    await vi.waitFor(() => expect(service.app.isUnderPressure()).toBe(true), { timeout: 20_000 });
    const refused = await service.app.inject({ url });
    expectProblem(refused, 503, 'overloaded');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expectProblem(await service.app.inject({ url: '/made/up' }), 503, 'overloaded');
    for (const health of ['/health/live', '/health/ready'])
      expect((await service.app.inject({ url: health })).statusCode).toBe(200);
    const metrics = await service.app.inject({ url: '/metrics', headers: { host: 'localhost' } });
    expect(metrics.body).toContain('tenantry_http_problems_total{code="overloaded"} 2');
    expect(metrics.body).toMatch(
      /duration_seconds_count{method="GET",route="\(no route\)",status="5xx"} 1/,
    );
  });

  test('serves as many requests at a time as it may, and all of them one after the other', async () => {
    await using service = await startTestService({
      overloadLimits: { ...NONE, requestsAtWork: 5 },
    });
    const ask = () => service.app.inject({ url });
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(Array.from({ length: 12 }, ask));
      expect(tally(answers)).toEqual({ '404 organization_not_found': 5, '503 overloaded': 7 });
    }
    for (let turn = 0; turn < 12; turn += 1) expect((await ask()).statusCode).toBe(404);
  });

  test('counts no request whose body is still on its way, and none whose client has gone', async () => {
    await using service = await startTestService({
      overloadLimits: { ...NONE, requestsAtWork: 1 },
    });
    await service.app.listen({ port: 0, host: '127.0.0.1' });
    const acme = await signUpAndIn(service);
    const body = { name: 'A key', permissions: ['org:read'] };
    const finish = [];
    for (let held = 0; held < 3; held += 1)
      finish.push(await hold(service, 'POST', '/org/api-keys', acme.auth, body));
    expect((await service.app.inject({ url })).statusCode).toBe(404);
    for (const one of finish) expect(await one()).toMatchObject({ status: 201 });
    expect((await service.app.inject({ url })).statusCode).toBe(404);
  });
});
