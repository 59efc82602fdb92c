import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf } from '../support/api.ts';
import { type Records, type Row, recordsOf } from '../support/records.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let acme: SignedUp;
let records: Records;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(async () => {
  acme = await signUpAndIn(service);
  records = recordsOf(service, acme.auth);
});

function importing(payload: string, query = '', type = 'application/x-ndjson') {
  return service.app.inject({
    ...{ method: 'POST', url: `/org/records/import${query}`, payload },
    headers: { ...acme.auth, 'content-type': type },
  });
}

/** What is no number, and what JavaScript makes a text of when asked for one. */
describe('what JavaScript would call functions of', () => {
  test('names of its own methods are names like others', async () => {
    const odd = {
      toString: 1,
      valueOf: { toString: {} },
      toJSON: 'x',
      constructor: [{ toBSON: 1 }],
    };
    const made = expectStatus(await records.create({ _id: 'odd', odd, list: [odd] }), 201);
    expect(made.json()).toEqual({ _id: 'odd', odd, list: [odd] });
    expectStatus(await records.patch('odd', { odd: { toString: { valueOf: 2 } } }), 200);
    expectStatus(await records.list({ filter: JSON.stringify({ odd: { $ne: odd } }) }), 200);
    expect(expectStatus(await importing(JSON.stringify(odd)), 200).json().inserted).toBe(1);
  });

  test('lists in lists beyond any depth are refused', async () => {
    const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
    expectProblem(await records.create(deep), 422, 'validation_failed');
    expectProblem(await records.put('x', deep), 422, 'validation_failed');
    expectProblem(await records.query(`{"filter":{"x":${deep}}}`), 422, 'validation_failed');
    const batch = await records.batch(`{"operations":[{"op":"insert","record":${deep}}]}`);
    expect(batch.json().results[0].status).toBe(422);
    expect(expectStatus(await importing(deep), 200).json()).toMatchObject({ failed: 1 });
  });

  test("the driver's mark of its own classes names no field", async () => {
    const filter = '{"_bsontype":"Long"}';
    const query = await records.query(`{"filter":${filter}}`);
    expect(pathsOf(expectProblem(query, 422, 'validation_failed'))).toEqual(['/filter/_bsontype']);
    expectProblem(await records.list({ filter }), 422, 'validation_failed');
    expectProblem(await records.list({ fields: '_bsontype' }), 422, 'validation_failed');
    expectProblem(await records.list({ sort: '_bsontype' }), 422, 'validation_failed');
  });
});

describe('regular expressions that JavaScript does not know', () => {
  const odd = [
    { pattern: '(', options: 'i' },
    { pattern: 'a', options: 'iiii' },
    { pattern: '(?i)a', options: 'x' },
  ].map(($regularExpression) => ({ $regularExpression }));

  test('do not end a list in the middle', async () => {
    for (const a of [...odd, 'text', { $maxKey: 1 }])
      expectStatus(await records.create({ a }), 201);
    for (const sort of ['a', '-a']) {
      const pages = await records.pages({ sort, limit: 1 });
      expect(pages.flat()).toHaveLength(5);
    }
  });

  test('can be what breaks a unique index, or the schema', async () => {
    const { app } = service;
    const headers = { ...acme.auth, 'content-type': 'application/json' };
    const index = { fields: [{ field: 'a' }], unique: true };
    expectStatus(
      await app.inject({ method: 'POST', url: '/org/indexes', headers, payload: index }),
      201,
    );
    const [a] = odd;
    expectStatus(await records.create({ _id: 'one', a }), 201);
    expectProblem(await records.create({ _id: 'two', a }), 409, 'duplicate_value');
    expectStatus(await records.create({ _id: 'three' }), 201);
    expectProblem(await records.patch('three', { a }), 409, 'duplicate_value');
    const schema = { properties: { b: { type: 'string' } } };
    expectStatus(
      await app.inject({ method: 'PUT', url: '/org/schema', headers, payload: schema }),
      200,
    );
    expectProblem(await records.create({ a: 1, b: a }), 422, 'schema_violation');
    expectProblem(await records.patch('one', { b: a }), 422, 'schema_violation');
  });
});

test('a timestamp stays one, also of the first hours of 1970', async () => {
  const a = { $timestamp: { t: 1, i: 1 } };
  const made = expectStatus(await records.create({ _id: { $timestamp: { t: 7, i: 0 } }, a }), 201);
  expect(made.json()).toEqual({ _id: { $timestamp: { t: 7, i: 0 } }, a });
});

describe('an import takes what a record may be, and nothing else', () => {
  const BAD = [
    null,
    [1],
    { $undefined: true },
    { $regularExpression: { pattern: '(', options: '' } },
    { $regularExpression: { pattern: '.', options: '' } },
    'x'.repeat(600),
  ];

  test.each(['insert', 'upsert', 'replace'])('as its id, with mode=%s', async (mode) => {
    expectStatus(await records.create({ _id: 'good' }), 201);
    const lines = [...BAD.map((_id) => JSON.stringify({ _id })), '{"_id":"good","n":1}'];
    const report = expectStatus(await importing(lines.join('\n'), `?mode=${mode}`), 200).json();
    expect(report.failed).toBe(mode === 'insert' ? BAD.length + 1 : BAD.length);
    for (const { line, code, errors } of report.errors)
      if (line <= BAD.length)
        expect({ code, errors }).toMatchObject({
          ...{ code: 'validation_failed', errors: [{ path: '/_id' }] },
        });
    const cell = '"{""$regularExpression"":{""pattern"":""("",""options"":""""}}"';
    const csv = await importing(`_id,a\n${cell},1\n`, `?mode=${mode}`, 'text/csv');
    expect(expectStatus(csv, 200).json()).toMatchObject({ failed: 1 });
    const { data } = (await records.list()).json<{ data: Row[] }>();
    expect(data.map(({ _id }) => _id)).toEqual(['good']);
  });

  test('as its values and its size', async () => {
    const large = JSON.stringify({ _id: 'large', a: Array(400_000).fill(1) });
    const zero = '{"_id":"zero","a":{"$timestamp":{"t":0,"i":0}}}';
    const report = expectStatus(await importing(`${large}\n${zero}\n`), 200).json();
    expect(report.errors).toMatchObject([
      { line: 1, code: 'record_too_large' },
      { line: 2, code: 'validation_failed', errors: [{ path: '/a' }] },
    ]);
  });
});
