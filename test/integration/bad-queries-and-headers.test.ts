import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf } from '../support/api.ts';
import { changingNothing } from '../support/database-truth.ts';
import { OPERATION_NAMES, operation, senderFor } from '../support/operations.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let acme: SignedUp;
let send: ReturnType<typeof senderFor>;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
  send = senderFor(service, acme);
});
afterAll(() => service[Symbol.asyncDispose]());

describe('the query', () => {
  test.each([
    ['?organization_name=', 422, '/organization_name'],
    ['?organization_name=%20%20', 422, '/organization_name'],
    ['?organization_name=%00', 422, '/organization_name'],
    ['?organization_name=a%00b', 422, '/organization_name'],
    ['?organization_name=%e2%80%ae', 422, '/organization_name'],
    [`?organization_name=${'x'.repeat(101)}`, 422, '/organization_name'],
    [`?organization_name=${'x'.repeat(10_000)}`, 422, '/organization_name'],
    ['?organization_name', 422, '/organization_name'],
    ['?organization_name=a&organization_name=b', 400, '/organization_name'],
    ['?organization_name[]=a', 400, '/organization_name[]'],
    ['?organization_name[$gt]=', 400, '/organization_name[$gt]'],
    ['?organization_name=a&x=1', 400, '/x'],
    ['?name=a', 400, '/name'],
    ['?__proto__=1', 400, '/__proto__'],
    ['?constructor=1', 400, '/constructor'],
    ['?', 400, '/organization_name'],
    ['?&&&', 400, '/organization_name'],
    ['?=1', 400, '/'],
  ])('of a look-up: %s', async (query, status, path) => {
    await changingNothing(service.db, async () => {
      const code = status === 400 ? 'invalid_querystring' : 'validation_failed';
      const response = await service.app.inject({ url: `/org/get${query}` });
      expect(pathsOf(expectProblem(response, status, code))).toEqual([path]);
    });
  });

  test.each([
    ['?organization_name=', 422, '/organization_name'],
    ['?organization_name=a&organization_name=b', 400, '/organization_name'],
    ['?force=true', 400, '/force'],
  ])('of a deletion: %s', async (query, status, path) => {
    await changingNothing(service.db, async () => {
      const code = status === 400 ? 'invalid_querystring' : 'validation_failed';
      const problem = expectProblem(await send('delete', undefined, { query }), status, code);
      expect(pathsOf(problem)).toEqual([path]);
    });
  });

  test.each(['?a=%', '?a=%zz', '?%ff=1', '?a=%c3%28', '?a=%ed%a0%80', '?%'])(
    'with bad percent-encoding: %s',
    async (query) => {
      await changingNothing(service.db, async () => {
        const url = `/org/get${query}`;
        expectProblem(await service.app.inject({ url }), 400, 'malformed_url');
        for (const name of OPERATION_NAMES)
          expectProblem(
            await send(name, operation(name).valid(acme), { query }),
            400,
            'malformed_url',
          );
      });
    },
  );
});

describe('the Authorization header', () => {
  const get = (authorization: string) =>
    service.app.inject({ url: '/org/get', headers: { authorization } });

  test('in forms that RFC 9110 allows', async () => {
    const { access_token: token } = acme.tokens;
    const forms = ['Bearer ', 'bearer ', 'BEARER   '].map((scheme) => scheme + token);
    for (const authorization of [...forms, `Bearer ${token} `])
      expectStatus(await get(authorization), 200);
  });

  test('in any other form', async () => {
    const { access_token: token } = acme.tokens;
    const [header = '', payload = '', signature = ''] = token.split('.');
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
    const bad = [
      '',
      'Bearer',
      'Bearer ',
      token,
      `Token ${token}`,
      `Basic ${token}`,
      'Basic YWRhOnNlY3JldA==',
      `Bearer ${token} ${token}`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer "${token}"`,
      `Bearer: ${token}`,
      `Bearer ${token}.`,
      `Bearer .${token}`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${header}.${payload}`,
      `Bearer ${header}.${payload}.`,
      `Bearer ${none}.${payload}.`,
      `Bearer ${none}.${payload}.${signature}`,
      'Bearer a.b.c',
      'Bearer ..',
      'Bearer null',
      'Bearer \u00fc',
      `Bearer ${'x'.repeat(10_000)}`,
      `Bearer ${'.'.repeat(10_000)}`,
    ];
    await changingNothing(service.db, async () => {
      for (const authorization of bad) {
        const response = await get(authorization);
        expectProblem(response, 401, 'invalid_token');
        expect(response.headers['www-authenticate']).toBe(
          'Bearer realm="tenantry", error="invalid_token"',
        );
      }
    });
  });
});

test('a huge User-Agent is kept in part', async () => {
  const { email, password } = acme.signUp;
  const response = await service.app.inject({
    method: 'POST',
    url: '/admin/login',
    headers: { 'user-agent': 'x'.repeat(10_000) },
    payload: { email, password },
  });
  expectStatus(response, 200);
  const session = await service.db.collection('sessions').findOne({ 'client.user_agent': /^x/ });
  expect(session?.client.user_agent).toHaveLength(512);
});

describe('what is no well-formed HTTP, over a connection of its own', () => {
  let port: number;
  beforeAll(async () => {
    await service.app.listen({ host: '127.0.0.1', port: 0 });
    port = (service.app.server.address() as AddressInfo).port;
  });

  /** Sends bytes and reads until the service closes the connection. */
  async function exchange(request: string) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(request, 'latin1');
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
    const [statusLine = '', ...lines] = head.split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => line.split(': ', 2).map((part) => part.toLowerCase())),
    );
    return { statusLine, headers, body };
  }

  test.each([
    [
      'headers beyond any measure',
      `GET /org/get HTTP/1.1\r\nHost: x\r\nX-Huge: ${'x'.repeat(20_000)}\r\n\r\n`,
      'HTTP/1.1 431 Request Header Fields Too Large',
      'headers_too_large',
    ],
    ['not HTTP', 'hello\r\n\r\n', 'HTTP/1.1 400 Bad Request', 'malformed_request'],
    [
      'a header with a line break in its name',
      'GET / HTTP/1.1\r\nHost: x\r\nA\nB: c\r\n\r\n',
      'HTTP/1.1 400 Bad Request',
      'malformed_request',
    ],
    [
      'two lengths for one body',
      'POST /org/create HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
      'HTTP/1.1 400 Bad Request',
      'malformed_request',
    ],
    [
      'both a length and chunks',
      'POST /org/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'HTTP/1.1 400 Bad Request',
      'malformed_request',
    ],
  ])('%s', async (_, request, statusLine, code) => {
    const answer = await exchange(request);
    expect(answer.statusLine).toBe(statusLine);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'content-length': String(Buffer.byteLength(answer.body)),
      connection: 'close',
    });
    expect(JSON.parse(answer.body)).toEqual({
      type: `urn:tenantry:problem:${code}`,
      title: expect.stringMatching(/./),
      status: Number(statusLine.split(' ')[1]),
      detail: expect.stringMatching(/./),
      code,
      request_id: answer.headers['x-request-id'],
    });
  });
});
