import fc from 'fast-check';
import { BSON, type Document, Double, Int32, ObjectId } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jsonOf } from '../../src/records/extended-json.ts';
import { QueryTooSlowError } from '../../src/records/record-errors.ts';
import { recordQueryOf } from '../../src/records/record-query.ts';
import { RecordReader } from '../../src/records/record-reader.ts';
import { expectProblem, pathsOf } from '../support/api.ts';
import { matchesFilter } from '../support/filter-model.ts';
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
  acme = await signUpAndIn(service);
  records = recordsOf(service, acme.auth);
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(async () => {
  await collection().deleteMany({});
});

const collection = () => service.db.collection<Document>(acme.organization.collection_name);
const insert = (documents: readonly object[]) =>
  documents.length === 0
    ? undefined
    : collection().insertMany(documents as Document[], { ignoreUndefined: false });
const ids = (rows: readonly Row[]) => rows.map(({ _id }) => _id);

describe('a filter', () => {
  const scalar = fc.constantFrom(
    ...[
      null,
      true,
      false,
      0,
      1,
      2,
      2.5,
      -1,
      '',
      'a',
      'ab',
      'b',
      { $date: '2026-01-01T00:00:00.000Z' },
    ],
  );
  const object = (value: fc.Arbitrary<unknown>) =>
    fc.dictionary(fc.constantFrom('a', 'b'), value, { maxKeys: 2 });
  const flat = fc.oneof(scalar, object(fc.oneof(scalar, object(scalar))));
  // Lists of lists have rules of their own, which nobody uses and no model has right.
  const list = fc.array(flat, { maxLength: 3 });
  const small = fc.oneof(flat, list, object(fc.oneof(flat, list)));
  const document = fc.dictionary(fc.constantFrom('a', 'b', 'c'), small, { maxKeys: 3 });
  const path = fc.constantFrom('a', 'b', 'a.b', 'b.a.b');
  const comparison = fc.oneof(
    fc.tuple(fc.constantFrom('$eq', '$ne'), small),
    fc.tuple(fc.constantFrom('$gt', '$gte', '$lt', '$lte'), scalar),
    fc.tuple(fc.constantFrom('$in', '$nin'), fc.array(small, { maxLength: 3 })),
    fc.tuple(fc.constant('$exists'), fc.boolean()),
    fc.tuple(fc.constant('$size'), fc.nat(3)),
    fc.tuple(
      fc.constant('$type'),
      fc.constantFrom('string', 'number', 'array', 'object', 'null', 'bool'),
    ),
    fc.tuple(fc.constant('$regex'), fc.constantFrom('^a', 'b$', '')),
  );
  const operators = fc
    .array(comparison, { minLength: 1, maxLength: 2 })
    .map((pairs) => Object.fromEntries(pairs));
  const filters = fc.letrec<{ filter: Record<string, unknown> }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 2 },
      fc.tuple(path, small).map(([name, value]) => ({ [name]: value })),
      fc.tuple(path, operators).map(([name, value]) => ({ [name]: value })),
      fc.tuple(path, operators).map(([name, value]) => ({ [name]: { $not: value } })),
      fc.tuple(path, operators).map(([name, value]) => ({ [name]: { $elemMatch: value } })),
      fc
        .tuple(
          fc.constantFrom('$and', '$or', '$nor'),
          fc.array(tie('filter'), { minLength: 1, maxLength: 2 }),
        )
        .map(([name, list]) => ({ [name]: list })),
    ),
  })).filter;

  test('gives what a model of it gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(document, { minLength: 1, maxLength: 12 }),
        fc.array(filters, { minLength: 1, maxLength: 4 }),
        async (documents, tried) => {
          await collection().deleteMany({});
          const stored = documents.map((one, index) => ({ _id: index, ...one }));
          const operations = stored.map((record) => ({ op: 'insert', record }));
          expectStatus(await records.batch({ operations }), 200);
          for (const filter of tried) {
            const expected = stored
              .filter((one) => matchesFilter(one, filter))
              .map(({ _id }) => _id);
            const found = expectStatus(await records.query({ filter, limit: 200 }), 200).json();
            expect(ids(found.data), JSON.stringify({ stored, filter })).toEqual(expected);
            const count = expectStatus(await records.count(filter), 200).json();
            expect(count).toEqual({ count: expected.length });
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test.each([
    ...['$where', '$function', '$expr', '$jsonSchema', '$text', '$near', '$comment', '$lookup'],
  ])('with %s is refused by name, in a URL and in a body', async (operator) => {
    const filter = { a: { [operator]: 'x' } };
    const answers = [
      await records.list({ filter: JSON.stringify(filter) }),
      await records.query({ filter }),
      await records.count(filter),
    ];
    for (const answer of answers) {
      const problem = expectProblem(answer, 422, 'unsupported_operator');
      expect(pathsOf(problem)).toEqual([`/filter/a/${operator}`]);
      expect(problem.detail).toContain(operator);
    }
  });

  test('that the database cannot carry out is the caller’s fault', async () => {
    await insert([{ a: 1, at: [0, 0] }]);
    for (const filter of [
      { a: { $type: 'no such type' } },
      { a: { $regex: '(' } },
      { a: { $ne: { $regularExpression: { pattern: 'a', options: '' } } } },
      { a: { $geoWithin: { $box: 1 } } },
      { a: { $bitsAllSet: -1 } },
      { a: { $all: [{ $gt: 1 }] } },
      { a: { $size: 2 ** 40 } },
    ])
      expectProblem(await records.query({ filter }), 422, 'refused_by_database');
  });

  test('with a pattern that never ends comes to an end', async () => {
    await insert([{ s: `${'a'.repeat(5_000)}!` }, { s: 'b' }]);
    for (const $regex of ['(a+)+$', '^(a|aa)+$', '(a*)*b', '^(([a-z])+.)+[A-Z]([a-z])+$']) {
      const answer = await records.query({ filter: { s: { $regex } } });
      expect([200, 422], answer.body).toContain(answer.statusCode);
    }
  });

  test('that takes too long is told so', async () => {
    await insert(Array.from({ length: 20_000 }, (_, n) => ({ s: `${n}${'a'.repeat(200)}` })));
    const { directory } = service.services;
    const reader = new RecordReader({ directory, timeLimitMs: 1 });
    const id = new ObjectId(acme.organization.id);
    const filter = { s: { $regex: '(a+)+b' } };
    await expect(reader.page(id, recordQueryOf({ filter, sort: 's' }))).rejects.toThrow(
      QueryTooSlowError,
    );
    await expect(reader.count(id, filter)).rejects.toThrow(QueryTooSlowError);
  });
});

describe('pages', () => {
  /** Values of every type that can be stored, in and out of arrays; few of each, so that many are equal. */
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 2 },
      fc.constantFrom<unknown>(
        ...[null, 0, 1, new Int32(2), new Double(2), new Double(Number.NaN), new Double(-0), 2.5],
        ...[
          BSON.Decimal128.fromString('2'),
          BSON.Long.MAX_VALUE,
          new Double(Number.POSITIVE_INFINITY),
        ],
        ...[
          '',
          'a',
          'b',
          'ü',
          true,
          false,
          new Date(0),
          new Date(1),
          new BSON.Timestamp({ t: 1, i: 0 }),
        ],
        ...[
          new BSON.Binary(Buffer.from([1])),
          new BSON.UUID('00000000-0000-4000-8000-000000000000').toBinary(),
        ],
        ...[new ObjectId('66f1c0ffee0ddba11ca75a1e'), new BSON.BSONRegExp('a'), new BSON.Code('1')],
        ...[new BSON.MinKey(), new BSON.MaxKey(), new BSON.BSONSymbol('a')],
      ),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('x', 'y', '7'), tie('value'), { maxKeys: 2 }),
    ),
  })).value;
  const documents = fc.array(fc.dictionary(fc.constantFrom('a', 'b'), value, { maxKeys: 2 }), {
    maxLength: 16,
  });
  const sorts = fc.uniqueArray(
    fc.tuple(fc.constantFrom('a', 'b', 'a.x', 'a.0', '_id'), fc.constantFrom(1, -1)),
    { maxLength: 3, selector: ([name]) => name },
  );

  const textOf = (sort: readonly (readonly [string, number])[]) =>
    sort.map(([name, direction]) => (direction === 1 ? name : `-${name}`)).join();

  /** In MongoDB's own order, or undefined for what it cannot sort. */
  async function inOrder(sort: Map<string, 1 | -1>): Promise<unknown[] | undefined> {
    try {
      const all = await collection().find({}, { sort, promoteValues: false }).toArray();
      return all.map(({ _id }) => jsonOf(_id, 'relaxed'));
    } catch {
      return undefined;
    }
  }

  test.each([false, true])(
    'cover any sort, in MongoDB’s order (with an index: %s)',
    async (indexed) => {
      const property = fc
        .asyncProperty(
          documents,
          sorts,
          fc.integer({ min: 1, max: 4 }),
          async (all, sort, limit) => {
            await insert(all.map((one, at) => ({ _id: at % 3 === 0 ? at : `${at}`, ...one })));
            const order = new Map(sort as [string, 1 | -1][]);
            if (!order.has('_id')) order.set('_id', sort.at(-1)?.[1] === -1 ? -1 : 1);
            const expected = await inOrder(order);
            fc.pre(expected !== undefined);
            const text = textOf(sort);
            const pages = await records.pages({ sort: text, limit, fields: '_id' });
            expect(ids(pages.flat()), JSON.stringify({ all, text })).toEqual(expected);
            // No list of records has an empty page but one of none.
            expect(pages.every((page) => page.length > 0) || all.length === 0).toBe(true);
          },
        )
        .beforeEach(async () => {
          await collection().deleteMany({});
          if (!indexed) return;
          // Made anew, an index has not held lists yet.
          await collection().dropIndexes();
          for (const name of ['a', 'a.x']) await collection().createIndex({ [name]: 1, _id: 1 });
        });
      await fc.assert(property, { numRuns: indexed ? 40 : 120 });
      await collection().dropIndexes();
    },
  );

  test('have every record of the beginning once, although others insert, change and delete', async () => {
    await fc.assert(
      fc.asyncProperty(documents, documents, sorts, async (all, late, sort) => {
        await collection().deleteMany({});
        await insert(all.map((one, index) => ({ _id: `${index}`, ...one })));
        const waiting = late.map((one, index) => ({ _id: `late ${index}`, ...one }));
        const text = textOf(sort);
        fc.pre((await inOrder(new Map(sort as [string, 1 | -1][]))) !== undefined);
        const first = await records.query({ sort: text, limit: 200 });
        const there: Row[] = expectStatus(first, 200).json().data;
        const between = () => insert(waiting.splice(0, 2)) ?? Promise.resolve();
        let rows: Row[];
        try {
          rows = (await records.pages({ sort: text, limit: 2 }, between)).flat();
        } catch (error) {
          // What came in between has lists in both fields, which MongoDB cannot sort by.
          fc.pre(!String(error).includes('refused_by_database'));
          throw error;
        }
        const early = ids(rows).filter((id) => !String(id).startsWith('late'));
        expect(early).toEqual(ids(there));
        expect(new Set(ids(rows)).size).toBe(rows.length);
      }),
      { numRuns: 40 },
    );
  });

  test('of ids of every type', async () => {
    const all = [
      ...[new BSON.MinKey(), 1, new Double(Number.NaN), -5.5, BSON.Decimal128.fromString('2')],
      ...[
        'a',
        new BSON.BSONSymbol('b'),
        { a: 1 },
        { '7': 1, b: 2 },
        new BSON.Binary(Buffer.from([1])),
      ],
      ...[new ObjectId(), true, false, new Date(0), new BSON.Timestamp({ t: 1, i: 1 })],
      ...[
        new BSON.Code('1'),
        new BSON.MaxKey(),
        BSON.Long.MAX_VALUE,
        new Double(Number.NEGATIVE_INFINITY),
      ],
    ];
    await insert(all.map((_id) => ({ _id })));
    await collection().insertOne({ _id: null as never });
    for (const direction of [1, -1] as const) {
      const expected = await inOrder(new Map([['_id', direction]]));
      const sort = direction === 1 ? '_id' : '-_id';
      const pages = await records.pages({ sort, limit: 1 });
      expect(ids(pages.flat())).toEqual(expected);
    }
  });

  test('end early when records are large', async () => {
    const s = 'x'.repeat(1_000_000);
    await insert(Array.from({ length: 10 }, (_, _id) => ({ _id: _id as never, s })));
    for (const sort of ['_id', '-s']) {
      const pages = await records
        .pages({ sort: `${sort},_id`.replace('_id,_id', '_id') })
        .catch(String);
      if (sort === '-s') expect(pages).toMatch(/422.*\/sort/s);
      else expect((pages as Row[][]).map((page) => page.length)).toEqual([4, 4, 2]);
    }
  });

  test('are served by an index from where they begin', async () => {
    const all = Array.from({ length: 3_000 }, (_, n) => ({ f: n % 100, s: 'x' }));
    await insert(all);
    await collection().createIndex({ f: 1, _id: 1 });
    await service.db.command({ profile: 2 });
    try {
      for (const sort of ['f', '-f']) await records.pages({ sort, limit: 200 });
      const profiled = await service.db
        .collection('system.profile')
        .find({ op: 'command', 'command.pipeline.1.$sort': { $exists: true } })
        .toArray();
      expect(profiled).toHaveLength(30);
      for (const { planSummary } of profiled) expect(planSummary).toMatch(/^IXSCAN/);
      // The last pages look at little more than themselves.
      const examined = profiled.map(({ docsExamined }) => docsExamined);
      expect(Math.min(...examined)).toBeLessThan(400);
    } finally {
      await service.db.command({ profile: 0 });
    }
  });
});

describe('a query', () => {
  test('shows the fields that are asked for', async () => {
    await insert([{ _id: 1 as never, a: { b: 1, c: 2 }, d: 3 }]);
    for (const sort of ['_id', 'd']) {
      const shown = async (fields: string) =>
        expectStatus(await records.list({ fields, sort }), 200).json().data[0];
      expect(await shown('a.b')).toEqual({ _id: 1, a: { b: 1 } });
      expect(await shown('d,-_id')).toEqual({ d: 3 });
      expect(await shown('-a.b,-d')).toEqual({ _id: 1, a: { c: 2 } });
      expect(await shown('-_id')).toEqual({ a: { b: 1, c: 2 }, d: 3 });
    }
  });

  test('writes types as it is asked to', async () => {
    await insert([{ _id: 1 as never, n: new Double(1) }]);
    const { data } = (await records.list({ extended_json: 'canonical' })).json();
    expect(data).toEqual([{ _id: { $numberInt: '1' }, n: { $numberDouble: '1.0' } }]);
  });

  test.each([
    [{ filter: '{' }, 400, 'invalid_querystring', '/filter'],
    [{ filter: '[]' }, 422, 'validation_failed', '/filter'],
    [{ filter: '{"$where":"1"}' }, 422, 'unsupported_operator', '/filter/$where'],
    [{ sort: '{' }, 400, 'invalid_querystring', '/sort'],
    [{ sort: '{"a":2}' }, 422, 'validation_failed', '/sort/a'],
    [{ sort: '$where' }, 422, 'validation_failed', '/sort/$where'],
    [{ fields: 'a,-b' }, 422, 'validation_failed', '/fields'],
    [{ fields: '' }, 400, 'invalid_querystring', '/fields'],
    [{ limit: '0' }, 400, 'invalid_querystring', '/limit'],
    [{ limit: '201' }, 400, 'invalid_querystring', '/limit'],
    [{ after: 'x' }, 400, 'invalid_cursor', '/after'],
    [{ after: 'x'.repeat(8_193) }, 400, 'invalid_cursor', '/after'],
    [{ extended_json: 'legacy' }, 400, 'invalid_querystring', '/extended_json'],
    [{ skip: '1' }, 400, 'invalid_querystring', '/skip'],
  ])('with %j is refused', async (query, status, code, path) => {
    expect(pathsOf(expectProblem(await records.list(query as never), status, code))).toEqual([
      path,
    ]);
  });

  test('goes on only in the order of its cursor', async () => {
    await insert([{ a: 1 }, { a: 2 }]);
    const { next_cursor: after } = (await records.query({ sort: 'a', limit: 1 })).json();
    for (const sort of ['-a', 'b', '_id', 'a,b'])
      expectProblem(await records.query({ sort, after }), 400, 'invalid_cursor');
    expectStatus(await records.query({ sort: { a: 1 }, after }), 200);
  });

  test('sorted by lists in two fields of one record is the caller’s fault', async () => {
    await insert([{ a: [1, 2], b: [1, 2] }]);
    expectProblem(await records.query({ sort: 'a,b' }), 422, 'refused_by_database');
  });
});
