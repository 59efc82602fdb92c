import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import pino from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { drain } from '../../src/http/draining.ts';
import { hold } from '../support/held-request.ts';
import { signUpAndIn, startTestService, type TestService } from '../support/test-service.ts';

interface Answer {
  status: number | undefined;
  headers: IncomingMessage['headers'];
  body: string;
}

const agents: Agent[] = [];
afterEach(() => {
  for (const agent of agents.splice(0)) agent.destroy();
});

/** A client that keeps its one connection open. */
function client(port: number): (path: string) => Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agents.push(agent);
  return async (path) => {
    const sent = request({ agent, port, host: '127.0.0.1', path }).end();
    const [response]: IncomingMessage[] = await once(sent, 'response');
    if (response === undefined) throw new Error('no response');
    let body = '';
    for await (const chunk of response) body += chunk;
    return { status: response.statusCode, headers: response.headers, body };
  };
}

async function listening(service: TestService): Promise<number> {
  await service.app.listen({ port: 0, host: '127.0.0.1' });
  const address = service.app.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const logger = pino({ level: 'silent' });
const LONG = { lingerMs: 20_000, requestsMs: 20_000 };

describe('a service that stops', () => {
  test('answers what is under way, refuses what is new, says so, and closes every connection', async () => {
    await using service = await startTestService();
    const port = await listening(service);
    const acme = await signUpAndIn(service);
    const [kept, probe] = [client(port), client(port)];
    expect((await kept('/org/get?organization_name=x')).headers.connection).toBe('keep-alive');
    await probe('/health/live');
    const body = { name: 'A key', permissions: ['org:read'] };
    const finish = await hold(service, 'POST', '/org/api-keys', acme.auth, body);

    let isDrained = false;
    const drained = drain(service.app, service.services.stopping, logger, LONG).then(() => {
      isDrained = true;
    });
    expect(service.services.stopping.signal.aborted).toBe(true);
    const ready = await probe('/health/ready');
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.body)).toMatchObject({
      status: 'not_ready',
      checks: { database: { ok: true }, running: { ok: false, reason: 'stopping' } },
    });
    const refused = await kept('/org/get?organization_name=x');
    expect(refused.status).toBe(503);
    expect(refused.headers).toMatchObject({
      connection: 'close',
      'retry-after': '1',
      'content-type': expect.stringMatching(/^application\/problem\+json/),
    });
    expect(JSON.parse(refused.body)).toMatchObject({ code: 'stopping' });
    // Somebody new is told as well, rather than refused the connection.
    const late = await client(port)('/nothing');
    expect(late.status).toBe(503);
    expect((await client(port)('/health/live')).headers.connection).toBe('close');
    expect(isDrained).toBe(false);
    expect(await finish()).toMatchObject({ status: 201 });
    await drained;
    await expect(client(port)('/health/live')).rejects.toThrow('ECONNREFUSED');
  });

  test('cuts off a request that does not end', async () => {
    await using service = await startTestService();
    await listening(service);
    const acme = await signUpAndIn(service);
    const body = { name: 'A key', permissions: ['org:read'] };
    const finish = await hold(service, 'POST', '/org/api-keys', acme.auth, body);
    await drain(service.app, service.services.stopping, logger, { lingerMs: 0, requestsMs: 100 });
    await expect(finish()).resolves.toMatchObject({ status: Number.NaN });
  });

  test('does not wait for a client that keeps an idle connection', async () => {
    await using service = await startTestService();
    const port = await listening(service);
    await client(port)('/health/live');
    await drain(service.app, service.services.stopping, logger, { ...LONG, lingerMs: 50 });
    expect(service.app.server.listening).toBe(false);
  });

  test('tells whoever listens, and refuses whatever closes it', async () => {
    await using service = await startTestService();
    let isTold = false;
    service.services.stopping.signal.addEventListener('abort', () => {
      isTold = true;
    });
    await service.app.close();
    expect(isTold).toBe(true);
  });
});
