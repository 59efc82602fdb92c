import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMongoClient } from '../../src/database/mongo-client.ts';
import { apiOf, expectProblem } from '../support/api.ts';
import { signUpAndIn, startTestService, type TestService } from '../support/test-service.ts';

const METRICS_TOKEN = 'b7e1c09a5d3f48c2a6e4f1908d7b3c5e';
const LOCAL = { host: '127.0.0.1:8000' };

/** The samples of an answer: `name{labels}` → value. */
async function scrape({ app }: TestService, headers: Record<string, string> = LOCAL) {
  const answer = await app.inject({ url: '/metrics', headers });
  expect(answer.statusCode, answer.body).toBe(200);
  expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(answer.headers['cache-control']).toBe('no-store');
  const lines = answer.body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

function requestCount(method: string, route: string, status: string): string {
  const labels = `method="${method}",route="${route}",status="${status}"`;
  return `tenantry_http_request_duration_seconds_count{${labels}}`;
}

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service[Symbol.asyncDispose]());

describe('the metrics', () => {
  test('count requests by the route, never by what a client made up', async () => {
    await using fresh = await startTestService();
    const api = apiOf(fresh);
    const acme = await signUpAndIn(fresh);
    await api.get(acme.organization.organization_name);
    await api.get('no such organization');
    for (const url of ['/made/up', '/made/up/too', '/metrics-of-mine'])
      await fresh.app.inject({ url });
    await fresh.app.inject({ method: 'DELETE', url: '/org/roles/made-up', headers: acme.auth });
    const samples = await scrape(fresh);
    expect(samples.get(requestCount('POST', '/org/create', '2xx'))).toBe(1);
    expect(samples.get(requestCount('GET', '/org/get', '2xx'))).toBe(1);
    expect(samples.get(requestCount('GET', '/org/get', '4xx'))).toBe(1);
    expect(samples.get(requestCount('GET', '(no route)', '4xx'))).toBe(3);
    expect(samples.get(requestCount('DELETE', '/org/roles/:name', '4xx'))).toBe(1);
    expect(samples.get('tenantry_http_problems_total{code="route_not_found"}')).toBe(3);
    // The scrape itself.
    expect(samples.get('tenantry_http_requests_in_flight')).toBe(1);
    expect([...samples.keys()].join()).not.toContain('made');
  });

  test('say how the service is doing', async () => {
    await using fresh = await startTestService();
    const acme = await signUpAndIn(fresh);
    const asked = { url: '/org/members', headers: acme.auth };
    await fresh.app.inject(asked);
    await fresh.app.inject(asked);
    const samples = await scrape(fresh);
    const value = (name: string) => samples.get(name);
    expect(value('tenantry_database_up')).toBe(1);
    expect(value('tenantry_organizations{state="active"}')).toBe(1);
    expect(value('tenantry_organizations{state="suspended"}')).toBe(0);
    expect(value('tenantry_operations{kind="create",stuck="false"}')).toBe(0);
    expect(value('tenantry_collections_used')).toBeGreaterThan(0);
    expect(value('tenantry_collections_limit')).toBe(9_000);
    expect(value('tenantry_bcrypt_waiting')).toBe(0);
    expect(value('tenantry_bcrypt_waiting_limit')).toBeGreaterThan(0);
    expect(value('tenantry_mongodb_connections_open')).toBeGreaterThan(0);
    expect(value('tenantry_mongodb_connections_in_use')).toBeLessThanOrEqual(
      value('tenantry_mongodb_connections_open') ?? 0,
    );
    expect(value('tenantry_access_cache_lookups_total{cache="session",result="miss"}')).toBe(1);
    expect(value('tenantry_access_cache_lookups_total{cache="session",result="hit"}')).toBe(1);
    expect(value('tenantry_access_cache_entries{cache="session"}')).toBe(1);
    expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  test('show what is stuck, as of some seconds ago', async () => {
    await using fresh = await startTestService({ start: false });
    const stuck = { kind: 'delete', owner: 'x', started_at: new Date(0), attempts: 9 };
    const organizations = fresh.db.collection('organizations');
    const operation = { ...stuck, lease_expires_at: new Date() };
    await organizations.insertOne({ state: 'deleting', operation });
    const name = 'tenantry_operations{kind="delete",stuck="true"}';
    expect((await scrape(fresh)).get(name)).toBe(1);
    await organizations.deleteMany({});
    expect((await scrape(fresh)).get(name)).toBe(1);
    fresh.clock.advance(5_000);
    expect((await scrape(fresh)).get(name)).toBe(0);
  });

  test('are there while the database is away, without what only that knows', async () => {
    const client = createMongoClient('mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50');
    await using away = await startTestService({ clientView: () => client, start: false });
    const samples = await scrape(away);
    expect(samples.get('tenantry_database_up')).toBe(0);
    expect(samples.has('tenantry_bcrypt_running')).toBe(true);
    expect(samples.get('tenantry_mongodb_connection_failures_total')).toBeGreaterThanOrEqual(0);
    const left = /^tenantry_(organizations|operations|collections)/;
    expect([...samples.keys()].filter((name) => left.test(name))).toEqual([]);
    await client.close();
  });
});

describe('GET /metrics', () => {
  test('is open to this machine alone, and for everybody else as if it were not there', async () => {
    const { app } = service;
    const remoteAddress = '192.0.2.1';
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'] as const) {
      const there = await app.inject({ url: '/metrics', method, headers: LOCAL, remoteAddress });
      const nowhere = await app.inject({ url: '/nothing', method, headers: LOCAL, remoteAddress });
      expect(there.statusCode).toBe(404);
      expect(there.body.replaceAll('/metrics', '')).toHaveLength(
        nowhere.body.replaceAll('/nothing', '').length,
      );
      expect(there.headers.allow).toBeUndefined();
    }
    const forwarded = { ...LOCAL, 'x-forwarded-for': '127.0.0.1' };
    const answer = await app.inject({ url: '/metrics', headers: forwarded });
    expectProblem(answer, 404, 'route_not_found');
    const post = await app.inject({ method: 'POST', url: '/metrics', headers: LOCAL });
    expectProblem(post, 405, 'method_not_allowed');
    expect(post.headers.allow).toBe('GET, HEAD');
  });

  test('is closed without METRICS_TOKEN where a proxy stands in front', async () => {
    await using behind = await startTestService({ trustProxy: 1 });
    expectProblem(
      await behind.app.inject({ url: '/metrics', headers: LOCAL }),
      404,
      'route_not_found',
    );
  });

  test('takes METRICS_TOKEN from anywhere, and then nothing else', async () => {
    await using guarded = await startTestService({ trustProxy: 1, metricsToken: METRICS_TOKEN });
    const authorization = `Bearer ${METRICS_TOKEN}`;
    const samples = await scrape(guarded, { authorization, 'x-forwarded-for': '192.0.2.1' });
    expect(samples.get('tenantry_database_up')).toBe(1);
    for (const headers of [{}, LOCAL, { ...LOCAL, authorization: `${authorization}x` }]) {
      const answer = await guarded.app.inject({ url: '/metrics', headers });
      expectProblem(answer, 401, 'authentication_required');
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    }
  });
});

describe('every metric', () => {
  /** With the suffixes that a histogram's samples have. */
  async function known(): Promise<Set<string>> {
    const described = await service.services.metrics.described();
    return new Set(
      described.flatMap(({ name, type }) =>
        type === 'histogram' ? ['_bucket', '_count', '_sum'].map((end) => name + end) : [name],
      ),
    );
  }

  const namesIn = (text: string) =>
    new Set(text.match(/\b(?:tenantry|nodejs|process)_[a-z0-9_]+\b/g));

  test('that the dashboard or an alert names is there, and of our own the other way round', async () => {
    const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
    const dashboard = namesIn(await read('ops/grafana/tenantry.json'));
    const alerts = namesIn(await read('ops/prometheus/tenantry-alerts.yml'));
    const existing = await known();
    expect([...dashboard, ...alerts].filter((name) => !existing.has(name))).toEqual([]);
    expect(alerts.size).toBeGreaterThan(8);
    const own = [...existing].filter((name) => name.startsWith('tenantry_'));
    const unseen = own.filter((name) => !dashboard.has(name) && !name.endsWith('_sum'));
    expect(unseen).toEqual([]);
  });

  test('of our own is in docs/operations.md, with its type and its words', async () => {
    const described = await service.services.metrics.described();
    const rows = described
      .filter(({ name }) => name.startsWith('tenantry_'))
      .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`);
    const document = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const written = document.split('\n').filter((line) => line.startsWith('| `tenantry_'));
    expect(written).toEqual(rows);
  });
});
