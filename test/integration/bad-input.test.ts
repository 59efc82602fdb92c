import fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf } from '../support/api.ts';
import { changingNothing, contradictions } from '../support/database-truth.ts';
import {
  OPERATION_NAMES,
  OPERATIONS,
  operation,
  SUSPICIOUS,
  senderFor,
} from '../support/operations.ts';
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
  await signIn();
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await service[Symbol.asyncDispose]();
});

async function signIn(): Promise<void> {
  acme = await signUpAndIn(service);
  send = senderFor(service, acme);
}

/** Values that are no string, each with its JSON type. */
const NO_STRINGS: readonly [type: string, value: unknown][] = [
  ['null', null],
  ['number', 0],
  ['number', 1.5],
  ['number', -1e300],
  ['boolean', true],
  ['boolean', false],
  ['array', []],
  ['array', ['text']],
  ['array', [null]],
  ['object', {}],
  ['object', { $gt: '' }],
  ['object', { $ne: null }],
  ['object', { $regex: '.*' }],
  ['object', { length: 10 }],
];

const ALL_FIELDS = Object.entries(OPERATIONS).flatMap(([name, { fields }]) =>
  Object.entries(fields).map(([field, rules]) => ({ types: ['string'], ...rules, name, field })),
);
const REQUIRED_FIELDS = ALL_FIELDS.filter(({ required }) => required);
const TEXT_FIELDS = ALL_FIELDS.filter(({ types }) => types.includes('string'));

/** Asserts that each value is refused as invalid, with the field named. */
async function expectRefused(name: string, field: string, values: unknown[]): Promise<void> {
  await changingNothing(service.db, async () => {
    for (const value of values) {
      const body = { ...operation(name).valid(acme), [field]: value };
      const problem = expectProblem(await send(name, body), 422, 'validation_failed');
      expect.soft(pathsOf(problem), JSON.stringify(value)?.slice(0, 100)).toEqual([`/${field}`]);
      expect.soft(problem.detail).toContain(field);
    }
  });
}

test('the bodies that the lists are made from would be accepted', async () => {
  const expected: Record<string, number> = {
    ...{ create: 201, update: 200, login: 401, refresh: 401 },
    ...{ 'begin TOTP': 422, 'confirm TOTP': 409, 'remove TOTP': 409 },
    ...{ 'replace recovery codes': 409, invite: 409 },
    ...{ 'look an invitation up': 404, 'accept an invitation': 404 },
    ...{ 'forget a password': 202, 'reset a password': 422, 'confirm an address': 422 },
  };
  for (const [name, status] of Object.entries(expected))
    expectStatus(await send(name, operation(name).valid(acme)), status);
});

test.each(ALL_FIELDS)('$name: $field of every wrong type', async ({ name, field, types }) => {
  const wrong = NO_STRINGS.filter(([type]) => !types.some((accepted) => accepted === type));
  const values = wrong.map(([, value]) => value);
  await expectRefused(name, field, types.includes('string') ? values : [...values, '', '{}']);
});

test.each(REQUIRED_FIELDS)('$name: $field missing', async ({ name, field }) => {
  await changingNothing(service.db, async () => {
    const { [field]: _, ...body } = operation(name).valid(acme);
    const problem = expectProblem(await send(name, body), 422, 'validation_failed');
    expect(problem.errors).toEqual([{ path: `/${field}`, message: 'is required' }]);
  });
});

test.each(TEXT_FIELDS)('$name: $field too short and too long', async (given) => {
  const { name, field, compared = false } = given;
  const long = ['x'.repeat(1_025), '🔑'.repeat(2_000), 'x'.repeat(500_000)];
  const empty = field === 'code' ? [] : [''];
  const blank = compared ? [] : [' ', '\t', '\u3000'];
  await expectRefused(name, field, [...empty, ...blank, ...long]);
});

test.each(TEXT_FIELDS)('$name: $field with characters that do not belong there', async (given) => {
  const { name, field, accepts = [] } = given;
  const valid = String(operation(name).valid(acme)[field]);
  const refused = Object.entries(SUSPICIOUS)
    .filter(([kind]) => !accepts.some((accepted) => accepted === kind))
    .flatMap(([, text]) => [valid + text, text + valid, valid[0] + text + valid.slice(1)])
    // White space at the ends of a name is no part of it.
    .filter((text) => !field.endsWith('name') || text === text.trim());
  await expectRefused(name, field, refused);
});

test.each(OPERATION_NAMES)('%s: numbers beyond the range of a double', async (name) => {
  await changingNothing(service.db, async () => {
    for (const field of Object.keys(operation(name).fields)) {
      const body = JSON.stringify({ ...operation(name).valid(acme), [field]: 0 });
      for (const number of ['1e400', '-1e400', '[1,{"a":1e999}]']) {
        const text = body.replace(`"${field}":0`, `"${field}":${number}`);
        const problem = expectProblem(await send(name, text), 422, 'validation_failed');
        expect(pathsOf(problem)).toEqual([`/${field}`]);
      }
    }
  });
});

test.each([
  ['NUL in a name', { 'a\0b': 1 }, '/metadata/a\0b'],
  ['NUL in a value', { a: ['x\0'] }, '/metadata/a/0'],
  ['a lone surrogate in a name', { '\ud800': 1 }, '/metadata/\ufffd'],
  ['a lone surrogate in a value', { a: { 'b/c': '\udfff' } }, '/metadata/a/b~1c'],
  ['a number beyond the range of a double', '{"metadata":{"a":1e400}}', '/metadata'],
])('metadata with %s', async (_, metadata, path) => {
  await changingNothing(service.db, async () => {
    const body = typeof metadata === 'string' ? metadata : { metadata };
    const problem = expectProblem(await send('update', body), 422, 'validation_failed');
    expect(pathsOf(problem)).toEqual([path]);
  });
});

describe('any input whatever', () => {
  const text = fc.string({ unit: 'binary' });
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    text,
    fc.constantFrom(...NO_STRINGS.map(([, value]) => value)),
  );

  /** A problem, or success: never an error of the service's own. */
  function expectSensible(response: LightMyRequestResponse): void {
    if (response.statusCode < 400) return;
    expect(response.statusCode).toBeLessThan(500);
    expectProblem(response, response.statusCode, String(response.json().code));
  }

  test.each(OPERATION_NAMES.filter((name) => name !== 'delete'))(
    'as the body of %s',
    async (name) => {
      const fields = fc.constantFrom(...Object.keys(operation(name).fields));
      await fc.assert(
        fc.asyncProperty(fc.option(fields), odd, fc.boolean(), async (field, value, alone) => {
          const valid = alone || field === null ? {} : operation(name).valid(acme);
          const body = field === null ? value : { ...valid, [field]: value };
          expectSensible(await send(name, JSON.stringify(body)));
        }),
        { seed: 4, numRuns: 100 },
      );
      // Some of it was accepted: credentials may have changed.
      await signIn();
    },
  );

  test('as a name and as a URL', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const encoded = encodeURIComponent(value.toWellFormed());
        const url = `/org/get?organization_name=${encoded}`;
        expectSensible(await service.app.inject({ url }));
        expectSensible(await service.app.inject({ url: `/${encoded}` }));
        expectSensible(await service.app.inject({ url: `/${encodeURI(value.toWellFormed())}` }));
      }),
      { seed: 4, numRuns: 200 },
    );
  });
});
