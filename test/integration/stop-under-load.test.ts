import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { ServiceProcess } from '../support/service-process.ts';
import { someSignUp } from '../support/test-service.ts';

const CLIENTS = 24;
/** So many answers before the signal, so that every client is in the middle of it. */
const WARM_UP = 600;
/** What is promised. */
const LONGEST_STOP_MS = 10_000;

interface Asked {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

interface Load {
  /** Answers by status. */
  counts: Record<number, number>;
  /** What did not get one. */
  dropped: string[];
}

/** Sends one request after the other on one connection, until told that it is closed; then once more on a new one. */
async function keepAsking(url: URL, what: Asked, load: Load, onAnswer: () => void): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let isLast = false; ; ) {
      const response = await ask(agent, url, what);
      load.counts[response.statusCode ?? 0] = (load.counts[response.statusCode ?? 0] ?? 0) + 1;
      onAnswer();
      if (isLast) return;
      isLast = response.headers.connection === 'close';
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Never accepted, so never dropped: what a load balancer takes to another instance.
    if (code !== 'ECONNREFUSED') load.dropped.push(`${what.path}: ${error}`);
  } finally {
    agent.destroy();
  }
}

async function ask(
  agent: Agent,
  { hostname: host, port }: URL,
  { method, path, headers, body }: Asked,
): Promise<IncomingMessage> {
  const sent = request({ agent, host, port, method, path, ...(headers && { headers }) }).end(body);
  const [response]: [IncomingMessage] = (await once(sent, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response;
}

test('SIGTERM under load drops no request, and ends within 10 s with a request that hangs', {
  timeout: 60_000,
}, async () => {
  await using service = await ServiceProcess.start();
  const signUp = someSignUp();
  expect((await service.post('/org/create', signUp)).status).toBe(201);
  const url = new URL(service.url);
  const { email, password, organization_name } = signUp;
  const headers = { 'content-type': 'application/json' };
  const login = JSON.stringify({ email, password, organization_name });
  const mix: [Asked, ...Asked[]] = [
    { method: 'GET', path: `/org/get?organization_name=${encodeURIComponent(organization_name)}` },
    { method: 'GET', path: '/nothing-here' },
    { method: 'POST', path: '/admin/login', headers, body: login },
  ];
  const hanging = connect(Number(url.port), url.hostname);
  await once(hanging, 'connect');
  hanging.write(
    'POST /admin/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
  );

  const load: Load = { counts: {}, dropped: [] };
  let answers = 0;
  const warm = Promise.withResolvers<void>();
  const clients = Array.from({ length: CLIENTS }, (_, index) =>
    keepAsking(url, mix[index % mix.length] ?? mix[0], load, () => {
      answers += 1;
      if (answers === WARM_UP) warm.resolve();
    }),
  );
  await warm.promise;
  const startedAt = performance.now();
  service.child.kill('SIGTERM');
  await Promise.all(clients);
  expect(await service.exit, service.output).toEqual([0, null]);
  expect(performance.now() - startedAt).toBeLessThan(LONGEST_STOP_MS);

  expect(load.dropped).toEqual([]);
  expect(Object.keys(load.counts).sort()).toEqual(['200', '404', '503']);
  expect(load.counts[503]).toBeGreaterThanOrEqual(CLIENTS);
  expect(service.output).toContain('"code":"stopping"');
  expect(service.output).toContain('cutting off requests');
  hanging.destroy();
});
