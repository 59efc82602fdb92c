import type { LightMyRequestResponse } from 'fastify';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf } from '../support/api.ts';
import { type Records, recordsOf } from '../support/records.ts';
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
  acme = await signUpAndIn(service);
  records = recordsOf(service, acme.auth);
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(async () => {
  await collection().deleteMany({});
});

const collection = () =>
  service.db.collection<Record<string, unknown>>(acme.organization.collection_name);
const stored = () =>
  collection()
    .find({}, { sort: { _id: 1 } })
    .toArray();
const run = (operations: unknown, headers?: Record<string, string>) =>
  records.batch({ operations }, headers);
const statuses = (answer: LightMyRequestResponse): number[] =>
  expectStatus(answer, 200)
    .json()
    .results.map(({ status }: { status: number }) => status);
const inserts = (number: number) =>
  Array.from({ length: number }, (_, n) => ({ op: 'insert', record: { n } }));

/** As if the instance had died before it answered. */
const crash = () =>
  service.db
    .collection('idempotency_keys')
    .updateMany({}, { $set: { answer: null, locked_until: new Date(0) } });

test('does what it is told, in order, with a result for each', async () => {
  const answer = await run([
    { op: 'insert', record: { _id: 'a', n: 1 } },
    { op: 'insert', record: { _id: 'b', n: 1 } },
    { op: 'insert', record: { _id: 'a', n: 2 } },
    { op: 'insert', record: { $x: 1 } },
    { op: 'insert', record: { n: 3 } },
    { op: 'patch', id: 'a', patch: { m: 1 } },
    { op: 'replace', id: 'b', record: { n: 2 } },
    { op: 'replace', id: 'c', record: { n: 2 } },
    { op: 'replace', id: 'b', record: { _id: 'c' } },
    { op: 'replace', id: 'b', record: {}, if_match: '"x"' },
    { op: 'upsert', id: 'c', record: { n: 4 } },
    { op: 'upsert', id: 'c', record: { n: 5 } },
    { op: 'delete', id: 'a' },
    { op: 'delete', id: 'a' },
    { op: 'insert', record: { _id: 'a', n: 6 } },
    { op: 'patch', id: { $oid: 'x' }, patch: {} },
    { op: 'upsert', id: [1], record: {} },
  ]);
  expect(statuses(answer)).toEqual([
    ...[201, 201, 409, 422, 201, 200, 200, 404, 422, 412, 201, 200, 204, 404, 201, 422, 422],
  ]);
  const { results, succeeded, failed } = answer.json();
  expect([succeeded, failed]).toEqual([9, 8]);
  expect(results[2].error).toEqual({
    code: 'record_exists',
    detail: '_id: belongs to a record that exists',
    errors: [{ path: '/_id', message: 'belongs to a record that exists' }],
  });
  expect(results[3].error.errors[0].path).toBe('/$x');
  const a = await records.get('a');
  expect(results[14]).toEqual({ status: 201, id: 'a', etag: a.headers.etag });
  expect(await stored()).toEqual([
    ...[
      { _id: 'a', n: 6 },
      { _id: 'b', n: 2 },
      { _id: 'c', n: 5 },
    ],
    { _id: new ObjectId(results[4].id.$oid), n: 3 },
  ]);
});

test('a result’s etag is the version for the next change', async () => {
  const { results } = (await run([{ op: 'insert', record: { _id: 'x', n: 1 } }])).json();
  const { etag: if_match } = results[0];
  const operations = [
    { op: 'patch', id: 'x', patch: { n: 2 }, if_match },
    { op: 'patch', id: 'x', patch: { n: 3 }, if_match },
    { op: 'delete', id: 'x', if_match },
    { op: 'delete', id: 'x', if_match: '*' },
  ];
  expect(statuses(await run(operations))).toEqual([200, 412, 412, 204]);
});

test('1,000 records in one request keep their order in their ids', async () => {
  const { results } = expectStatus(await run(inserts(1_000)), 200).json();
  expect((await stored()).map(({ n }) => n)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
  expect(new Set(results.map(({ id }: { id: { $oid: string } }) => id.$oid)).size).toBe(1_000);
});

test('ids of 24 hexadecimal digits are ObjectIds, as in URLs', async () => {
  const id = new ObjectId();
  await collection().insertOne({ _id: id as never });
  expect(statuses(await run([{ op: 'delete', id: `${id}` }]))).toEqual([204]);
  await collection().insertOne({ _id: id as never });
  expect(statuses(await run([{ op: 'delete', id: { $oid: `${id}` } }]))).toEqual([204]);
});

test('deletions of many, some of them twice', async () => {
  await collection().insertMany(Array.from({ length: 40 }, (_, n) => ({ _id: `${n}` as never })));
  const operations = Array.from({ length: 50 }, (_, n) => ({ op: 'delete', id: `${n % 45}` }));
  const expected = operations.map((_, n) => (n < 40 ? 204 : 404));
  expect(statuses(await run(operations))).toEqual(expected);
});

test('records of 12 MiB together go to the database in several commands', async () => {
  const record = { s: 'x'.repeat(900_000) };
  const operations = Array.from({ length: 14 }, () => ({ op: 'insert', record }));
  expect(statuses(await run(operations))).toEqual(operations.map(() => 201));
  const tooLarge = { n: Array.from({ length: 1_500_000 }, () => 1) };
  const mixed = [{ op: 'insert', record: tooLarge }, ...inserts(1)];
  expect(statuses(await run(mixed))).toEqual([413, 201]);
});

describe('with a fault in its shape nothing is done', () => {
  test.each([
    [undefined, '/operations'],
    [[], '/operations'],
    [inserts(1_001), '/operations'],
    [[...inserts(3), { op: 'destroy', id: 'a' }], '/operations/3/op'],
    [[...inserts(1), {}], '/operations/1/op'],
    [[...inserts(1), { op: 'insert' }], '/operations/1/record'],
    [[...inserts(1), { op: 'insert', record: [] }], '/operations/1/record'],
    [[...inserts(1), { op: 'insert', record: {}, id: 'x' }], '/operations/1/id'],
    [[...inserts(1), { op: 'delete' }], '/operations/1/id'],
    [[...inserts(1), { op: 'delete', id: null }], '/operations/1/id'],
    [[...inserts(1), { op: 'replace', id: 'x' }], '/operations/1/record'],
    [[...inserts(1), { op: 'patch', id: 'x', record: {} }], '/operations/1/patch'],
    [[...inserts(1), { op: 'delete', id: 'x', if_match: 'x' }], '/operations/1/if_match'],
    [[...inserts(1), { op: 'insert', record: {}, if_match: '*' }], '/operations/1/if_match'],
    [[...inserts(1), { op: 'insert', record: {}, more: 1 }], '/operations/1/more'],
    [[...inserts(1), null], '/operations/1'],
  ])('%#', async (operations, path) => {
    expect(pathsOf(expectProblem(await run(operations), 422, 'validation_failed'))).toContain(path);
    expect(await collection().countDocuments()).toBe(0);
  });
});

describe('repeated with its Idempotency-Key', () => {
  test('is answered again', async () => {
    const key = { 'idempotency-key': 'again' };
    const first = expectStatus(await run(inserts(3), key), 200);
    const again = expectStatus(await run(inserts(3), key), 200);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.body).toBe(first.body);
    expect(await collection().countDocuments()).toBe(3);
  });

  test('after a crash does only what was not done', async () => {
    const key = { 'idempotency-key': 'crashed' };
    const before = (await records.create({ _id: 'old', n: 1 })).headers.etag;
    await records.create({ _id: 'going' });
    const operations = [
      { op: 'insert', record: { n: 1 } },
      { op: 'insert', record: { _id: 'mine', n: 1 } },
      { op: 'patch', id: 'old', patch: { n: 2 }, if_match: before },
      { op: 'delete', id: 'going' },
      { op: 'replace', id: 'mine', record: { n: 2 } },
    ];
    const first = expectStatus(await run(operations.slice(0, 5), key), 200);
    expect(statuses(first)).toEqual([201, 201, 200, 204, 200]);
    const all = await stored();
    await crash();
    // Of what it did, the last change got lost with it.
    await collection().replaceOne({ _id: 'mine' as never }, { n: 1 });
    expect(expectStatus(await run(operations, key), 200).json()).toEqual(first.json());
    expect(await stored()).toEqual(all);
  });

  test('takes no records of others for its own', async () => {
    const key = { 'idempotency-key': 'others' };
    const operations = [
      { op: 'insert', record: { _id: 'x', n: 1 } },
      { op: 'replace', id: 'y', record: { n: 1 }, if_match: '"x"' },
    ];
    await records.create({ _id: 'x', n: 2 });
    await records.create({ _id: 'y', n: 2 });
    expect(statuses(await run(operations, key))).toEqual([409, 412]);
    await crash();
    expect(statuses(await run(operations, key))).toEqual([409, 412]);
  });

  test('after the database was away goes on under the same ids', async () => {
    const key = { 'idempotency-key': 'away' };
    const { records: real, recordBatch } = service.services;
    const insertMany = real.insertMany.bind(real);
    let fails = true;
    real.insertMany = async (...given) => {
      const refusals = await insertMany(...given);
      if (!fails) return refusals;
      fails = false;
      // It was done, and the answer got lost.
      throw new DOMException('the database is silent', 'TimeoutError');
    };
    try {
      expect(recordBatch).toBeDefined();
      expectProblem(await run(inserts(5), key), 503, 'database_unavailable');
      expect(statuses(await run(inserts(5), key))).toEqual([201, 201, 201, 201, 201]);
      expect(await collection().countDocuments()).toBe(5);
    } finally {
      real.insertMany = insertMany;
    }
  });
});

test('what there is no time for is told so, and not done', async () => {
  const { records: real } = service.services;
  const insertMany = real.insertMany.bind(real);
  real.insertMany = async (...given) => {
    service.clock.advance(20_001);
    return insertMany(...given);
  };
  try {
    const answer = await run([...inserts(1), { op: 'upsert', id: 'x', record: {} }]);
    expect(statuses(answer)).toEqual([201, 503]);
    expect(answer.json().results[1].error.code).toBe('batch_out_of_time');
    expectProblem(await records.get('x'), 404, 'record_not_found');
  } finally {
    real.insertMany = insertMany;
  }
});
