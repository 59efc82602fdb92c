import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { longUpload } from '../../../src/http/long-uploads.ts';
import { addProblemDetails } from '../../../src/http/problem-details.ts';
import { transportErrors } from '../../../src/http/transport-errors.ts';

let app: FastifyInstance | undefined;
let onError: (code: string) => void = () => {};
afterEach(async () => {
  app?.server.closeAllConnections();
  await app?.close();
});

/** A server that looks for requests that have not arrived in time every few milliseconds. */
async function aServer(limits: { idleLimitMs?: number; lingerMs?: number } = {}): Promise<number> {
  app = Fastify({
    ...transportErrors,
    requestTimeout: 50,
    http: { connectionsCheckingInterval: 10, headersTimeout: 50 },
  });
  addProblemDetails(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('text/long', (_request, body, done) => done(null, body));
  app.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  );
  app.addHook('onError', async (_request, _reply, error) => onError(error.code));
  app.post('/', async (incoming) => {
    if (typeof incoming.body === 'string') return incoming.body;
    let bytes = 0;
    for await (const chunk of longUpload(incoming, incoming.body as never, limits)) {
      if (chunk.includes('refuse me')) throw new Error('refused');
      bytes += chunk.length;
    }
    return String(bytes);
  });
  await app.listen({ port: 0 });
  return (app.server.address() as AddressInfo).port;
}

/** Waits until the server has looked for late requests many times. */
const muchLater = () => new Promise((resolve) => setTimeout(resolve, 150));

async function answerOf(port: number, head: string, ...rest: string[]): Promise<string> {
  const socket = connect(port).on('error', () => {});
  const closed = once(socket, 'close');
  socket.write(head);
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  for (const piece of rest) {
    await muchLater();
    socket.write(piece);
  }
  await closed;
  return answer;
}

const post = (type: string, length: number) =>
  `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`;

describe('longUpload', () => {
  test('takes a body as long as it keeps coming', async () => {
    const port = await aServer();
    const answer = await answerOf(port, post('text/long', 6), 'ab', 'cd', 'ef');
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer.endsWith('6')).toBe(true);
  });

  test('leaves other requests the time they have', async () => {
    const port = await aServer();
    const answer = await answerOf(port, post('text/plain', 6), 'ab', 'cd', 'ef');
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });

  test('leaves the next request on the same connection the time it has', async () => {
    const port = await aServer();
    const first = post('text/long', 4).replace('connection: close\r\n', '');
    const answer = await answerOf(port, first, 'ab', 'cd', post('text/plain', 6), 'ab');
    expect(answer).toMatch(/^HTTP\/1.1 200 [\s\S]*HTTP\/1.1 408 /);
  });

  test('ends one that pauses for too long', async () => {
    const port = await aServer({ idleLimitMs: 60, lingerMs: 1 });
    const answer = await answerOf(port, post('text/long', 6), 'ab');
    expect(answer).toMatch(/^HTTP\/1.1 408 [\s\S]*request_timeout/);
  });

  test('lets the client read an answer that comes before the end, and then ends the connection', async () => {
    const port = await aServer({ lingerMs: 50 });
    const answer = await answerOf(port, post('text/long', 1e9), 'refuse me', 'x'.repeat(1e6));
    expect(answer).toMatch(/^HTTP\/1.1 500 /);
  });

  test('tells the handler of a body that breaks off', async () => {
    const port = await aServer();
    const told = new Promise<string>((resolve) => {
      onError = resolve;
    });
    const sending = request({ port, method: 'POST', headers: { 'content-type': 'text/long' } });
    sending.on('error', () => {});
    sending.write('ab');
    await muchLater();
    sending.destroy();
    expect(await told).toBe('upload_broken_off');
  });
});
