import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
// Has no types.
// @ts-expect-error
import untypedAutocannon from 'autocannon';

/**
 * Measures what is left of the goodput at twice the capacity: answers of 2xx that come in time. The service runs in a process of
 * its own with the MongoDB it starts; the load comes from this one, on the same cores.
 *
 *     node scripts/overload.ts [seconds]
 */
const SECONDS = Number(process.argv[2] ?? 10);
/** What is used of it. */
interface LoadOptions {
  url: string;
  requests: LoadRequest[];
  duration: number;
  timeout: number;
  connections: number;
  overallRate?: number;
}

interface LoadRequest {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

interface Running extends PromiseLike<{ duration: number; errors: number }> {
  on(
    event: 'response',
    listener: (client: unknown, status: number, bytes: number, milliseconds: number) => void,
  ): void;
}

const autocannon: (options: LoadOptions) => Running = untypedAutocannon;

interface Route {
  name: string;
  request: LoadRequest;
  /** An answer that comes later is of no use to anybody. */
  inTimeMs: number;
  /** So many connections keep the service busy all the time, and nobody waits long. */
  saturating: number;
  /** Connections of those who come at twice the rate. */
  crowd: number;
}

interface Outcome {
  good: number;
  late: number;
  refused: number;
  failed: number;
  /** Of the good ones. */
  p50: number;
  p99: number;
}

const person = { email: 'ada@acme.example', password: 'correct horse battery staple' };
const headers = { 'content-type': 'application/json' };

async function load(
  url: string,
  route: Route,
  options: Pick<LoadOptions, 'connections' | 'overallRate'> & { duration?: number },
) {
  const outcome: Outcome = { good: 0, late: 0, refused: 0, failed: 0, p50: 0, p99: 0 };
  const times: number[] = [];
  const running = autocannon({
    ...{ url, requests: [route.request], duration: SECONDS, timeout: 30, ...options },
  });
  running.on('response', (_client, status, _bytes, milliseconds) => {
    if (status === 503) outcome.refused += 1;
    else if (status >= 300) outcome.failed += 1;
    else if (milliseconds > route.inTimeMs) outcome.late += 1;
    else times.push(milliseconds);
  });
  const result = await running;
  await settled(url);
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? Number.NaN;
  const perSecond = (count: number) => count / result.duration;
  return {
    ...{ good: perSecond(times.length), late: perSecond(outcome.late) },
    ...{ refused: perSecond(outcome.refused), failed: perSecond(outcome.failed + result.errors) },
    ...{ p50: at(0.5), p99: at(0.99) },
  };
}

async function post(url: string, body: string): Promise<Response> {
  const answer = await fetch(url, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer;
}

/** Waits until what clients have given up is no longer worked on. */
async function settled(url: string): Promise<void> {
  for (;;) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    // The one is this scrape.
    if (/_in_flight 1$/m.test(metrics) && /_bcrypt_waiting 0$/m.test(metrics)) return;
    await delay(100);
  }
}

function report(what: string, { good, late, refused, failed, p50, p99 }: Outcome): void {
  const [g, l, r, f] = [good, late, refused, failed].map((one) => one.toFixed(1));
  console.log(
    `  ${what}: good ${g}/s, late ${l}/s, 503 ${r}/s, failed ${f}/s; p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
  );
}

async function measure(url: string, route: Route): Promise<void> {
  console.log(route.name);
  const { saturating: connections } = route;
  await load(url, route, { connections, duration: 3 });
  const before = await load(url, route, { connections });
  report('at capacity', before);
  const overallRate = Math.ceil(2 * before.good);
  const twice = await load(url, route, { connections: route.crowd, overallRate });
  report(`twice that (${overallRate}/s, ${route.crowd} connections)`, twice);
  const after = await load(url, route, { connections });
  report('at capacity again', after);
  const share = (2 * twice.good) / (before.good + after.good);
  console.log(`  goodput at twice the capacity: ${(100 * share).toFixed(0)} %`);
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'tenantry-overload-'));
  const { MONGO_URL: _, ...environment } = process.env;
  const service = spawn(process.execPath, ['src/main.ts'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...environment,
      ...{ NODE_ENV: 'production', JWT_SECRET: crypto.randomUUID() + crypto.randomUUID() },
      ...{ DATA_DIR: directory, PORT: '0', RATE_LIMITS: 'off' },
    },
  });
  try {
    let url = '';
    for await (const line of createInterface({ input: service.stdout })) {
      url = /Tenantry is ready: (http:\/\/[^/]+)/.exec(line)?.[1] ?? '';
      if (url !== '') break;
    }
    service.stdout.resume();
    const body = JSON.stringify({ ...person, organization_name: 'Acme' });
    await post(`${url}/org/create`, body);
    const login = await post(`${url}/admin/login`, body);
    const { access_token } = (await login.json()) as { access_token: string };
    const authorization = `Bearer ${access_token}`;
    const path = '/org/get?organization_name=Acme';
    const quick = { inTimeMs: 1_000, saturating: 32, crowd: 400 };
    await measure(url, {
      ...{ ...quick, name: 'GET /.well-known/jwks.json, which asks the database nothing' },
      request: { method: 'GET', path: '/.well-known/jwks.json' },
    });
    await measure(url, {
      ...{ ...quick, name: 'GET /org/get, with a token' },
      request: { method: 'GET', path, headers: { authorization } },
    });
    await measure(url, {
      ...{ name: 'POST /admin/login, bcrypt cost 12', inTimeMs: 5_000, saturating: 8, crowd: 200 },
      request: { method: 'POST', path: '/admin/login', headers, body },
    });
  } finally {
    service.kill('SIGTERM');
    await once(service, 'exit');
    await rm(directory, { recursive: true });
  }
}

await main();
