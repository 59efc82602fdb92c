import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Api, apiOf, expectProblem } from '../support/api.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let api: Api;
let good: string;
beforeAll(async () => {
  service = await startTestService();
  api = apiOf(service);
  good = (await signUpAndIn(service)).tokens.access_token;
});
afterAll(() => service?.[Symbol.asyncDispose]());

test.each([
  ['', 401],
  ['Bearer', 401],
  ['Bearer ', 401],
  ['bearer', 401],
  ['<token>', 401],
  ['Bearer<token>', 401],
  ['Bearer Bearer <token>', 401],
  ['Bearer <token> <token>', 401],
  ['Bearer <token>, Bearer <token>', 401],
  ['Bearer <token>,', 401],
  ['Bearer "<token>"', 401],
  ['Bearer <token>=', 401],
  ['Bearer\t<token>', 401],
  ['Bearer <token>; x=1', 401],
  ['Basic <token>', 401],
  ['Token <token>', 401],
  ['DPoP <token>', 401],
  ['Digest x', 401],
  ['Bearer token=<token>', 401],
  // RFC 9110, 11.1: the scheme is the same in any case.
  ['bearer <token>', 200],
  ['BEARER <token>', 200],
])('answers Authorization: %j with %i', async (value, status) => {
  const headers = { authorization: value.replaceAll('<token>', good) };
  const response = expectStatus(await api.get(undefined, { headers }), status);
  if (status === 401) expectProblem(response, 401, 'invalid_token');
});

test('looks for a token nowhere else', async () => {
  for (const [query, headers] of [
    [{}, { cookie: `access_token=${good}; token=${good}` }],
    [{}, { 'x-access-token': good, 'proxy-authorization': `Bearer ${good}` }],
  ] as const)
    expect((await api.update({ metadata: {} }, { query, headers })).statusCode).toBe(401);
  const inQuery = await api.get(undefined, { query: { access_token: good } });
  expect([400, 401]).toContain(inQuery.statusCode);
});

test('has an answer for everything over the wire', async () => {
  const url = new URL(await service.app.listen({ host: '127.0.0.1', port: 0 }));
  const line = (value: string) => `Authorization: ${value}\r\n`;
  const bad = good.slice(0, -1);
  for (const [lines, statuses] of [
    [line(`Bearer ${good}`), [200]],
    [line(`  Bearer ${good}  `), [200]],
    [line(`Bearer ${good}`) + line(`Bearer ${good}`), [401]],
    [line(`Bearer ${good}`) + line(`Bearer ${bad}`), [401]],
    [line(`Bearer ${bad}`) + line(`Bearer ${good}`), [401]],
    [line(`Bearer ${good}`).replace('A', 'a') + line('Basic eDp5'), [401]],
    [line(`Bearer ${'A'.repeat(100_000)}`), [431]],
    [line(`Bearer ${good}${'A'.repeat(10_000)}`), [401]],
    [line(`Bearer ${good}\0`), [400]],
    [line(`Bearer ${good}\x01`), [400, 401]],
    [line(`Bearer\r\n ${good}`), [400, 401]],
    [line(`Bearer ${good}é`), [401]],
  ] as const)
    expect(statuses, lines.slice(0, 60)).toContain(await statusOf(url, lines));
});

/** Sends a request as it is written, which no HTTP client would. */
async function statusOf(url: URL, lines: string): Promise<number> {
  const socket = connect(Number(url.port), url.hostname);
  // A refusal may come, and the connection go, before all of it is written.
  socket.on('error', () => {});
  socket.write(`GET /org/get HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`, 'latin1');
  const answer = await text(socket);
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}
