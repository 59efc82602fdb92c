import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectProblem } from '../support/api.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service[Symbol.asyncDispose]());

/** Where in a JSON document a schema compares its items with each other that may be of any type. */
function quadratic(node: unknown, at = ''): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const { uniqueItems, items } = node as { uniqueItems?: unknown; items?: object };
  const found = uniqueItems === true && !(items && 'type' in items) ? [at] : [];
  return [
    ...found,
    ...Object.entries(node).flatMap(([key, value]) => quadratic(value, `${at}/${key}`)),
  ];
}

// Ajv knows items of a scalar type by a hash; of others it compares each with each, and nobody else is answered meanwhile.
test('no schema compares each item of a list with each other', async () => {
  expect(quadratic({ a: { uniqueItems: true, items: { enum: ['b'] } } })).toEqual(['/a']);
  const document = expectStatus(await service.app.inject({ url: '/openapi.json' }), 200).json();
  expect(quadratic(document)).toEqual([]);
});

test.each(['/org/roles', '/org/api-keys'])(
  'POST %s refuses more permissions than there are',
  async (url) => {
    const { auth: headers } = await signUpAndIn(service);
    const permissions = Array.from({ length: 100_000 }, (_, n) => n);
    const payload = { name: 'many', permissions };
    const answer = await service.app.inject({ method: 'POST', url, headers, payload });
    expectProblem(answer, 422, 'validation_failed');
    expect(answer.body.length).toBeLessThan(10_000);
  },
);

test.each([
  ['a list for a field', { email: Array(100_000).fill('\0'), password: 'x' }],
  ['unknown fields', Object.fromEntries(Array.from({ length: 80_000 }, (_, n) => [`f${n}`, 0]))],
])('a sign-in with %s is refused, in few words', async (_, payload) => {
  const answer = await service.app.inject({ method: 'POST', url: '/admin/login', payload });
  expectProblem(answer, 422, 'validation_failed');
  expect(answer.body.length).toBeLessThan(10_000);
});
