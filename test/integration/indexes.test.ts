import type { Document } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf, tally } from '../support/api.ts';
import { aMember } from '../support/members.ts';
import { deleteIndex, getIndexes, postIndex, recordsOf } from '../support/structure.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const MAX_INDEXES = 4;

let first: TestService;
let second: TestService;
let acme: SignedUp;
beforeAll(async () => {
  const settings = { maxIndexes: MAX_INDEXES };
  first = await startTestService({ settings });
  const { masterDatabase: database } = first.settings;
  second = await startTestService({ database, clock: first.clock, settings });
});
beforeEach(async () => {
  acme = await signUpAndIn(first);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

const on = (...names: string[]) => ({ fields: names.map((field) => ({ field })) });

const ofCollection = () => first.db.collection(acme.organization.collection_name);

async function names(): Promise<string[]> {
  const { data } = expectStatus(await getIndexes(first, acme), 200).json();
  return data.map(({ name }: { name: string }) => name);
}

const insert = async (...documents: Document[]) =>
  (await recordsOf(first, acme)).insertMany(documents);

describe('indexes', () => {
  test('are made, listed and deleted', async () => {
    const made = await postIndex(first, acme, {
      fields: [{ field: 'b' }, { field: '7', order: 'desc' }, { field: 'a.x', order: 'asc' }],
      unique: true,
      partial_filter: { at: { $gt: { $date: '2026-01-01T00:00:00Z' } }, a: { $exists: true } },
    });
    const index = expectStatus(made, 201).json();
    expect(index).toEqual({
      name: 'b_1_7_-1_a.x_1',
      fields: [
        { field: 'b', order: 'asc' },
        { field: '7', order: 'desc' },
        { field: 'a.x', order: 'asc' },
      ],
      ...{ unique: true, sparse: false, expire_after_seconds: null },
      partial_filter: { at: { $gt: { $date: '2026-01-01T00:00:00.000Z' } }, a: { $exists: true } },
      ...{ built_in: false, building: false, bytes: expect.any(Number), operations: 0 },
      operations_since: expect.stringMatching(/Z$/),
    });
    const { data, next_cursor } = expectStatus(await getIndexes(second, acme), 200).json();
    expect(next_cursor).toBeNull();
    expect(data).toMatchObject([{ name: '_id_', built_in: true }, { name: index.name }]);
    const inDatabase = await ofCollection().indexes();
    expect(Object.entries(inDatabase[1]?.key ?? {}).length).toBe(3);

    expectStatus(await deleteIndex(second, acme, index.name), 204);
    expect(await names()).toEqual(['_id_']);
    expectProblem(await deleteIndex(first, acme, index.name), 404, 'index_not_found');
  });

  test.each([
    [{ fields: [{ field: 'text', order: 'text' }] }, 'text_text'],
    [{ fields: [{ field: 'at', order: '2dsphere' }] }, 'at_2dsphere'],
    [{ fields: [{ field: 'h', order: 'hashed' }] }, 'h_hashed'],
    [{ ...on('s'), sparse: true }, 's_1'],
  ])('may be %j', async (body, name) => {
    const made = expectStatus(await postIndex(first, acme, body), 201).json();
    expect(made).toMatchObject({
      name,
      fields: body.fields.map((one) => ({ order: 'asc', ...one })),
    });
  });

  test('may hold records to a time: MongoDB deletes what has expired', async () => {
    const body = { ...on('at'), expire_after_seconds: 60 };
    expect(expectStatus(await postIndex(first, acme, body), 201).json()).toMatchObject({
      expire_after_seconds: 60,
    });
    expect((await ofCollection().indexes())[1]).toMatchObject({ expireAfterSeconds: 60 });
  });

  test('that there are already are answered, not made again', async () => {
    expectStatus(await postIndex(first, acme, on('a')), 201);
    expectStatus(await postIndex(second, acme, on('a')), 200);
    expectProblem(await postIndex(first, acme, { ...on('a'), name: 'b' }), 409, 'index_exists');
    expectProblem(await postIndex(first, acme, { ...on('b'), name: 'a_1' }), 409, 'index_exists');
    expectProblem(await postIndex(first, acme, { ...on('a'), unique: true }), 409, 'index_exists');
    expect(await names()).toEqual(['_id_', 'a_1']);
  });

  test('are for each organization its own', async () => {
    const globex = await signUpAndIn(first);
    expectStatus(await postIndex(first, acme, on('a')), 201);
    const { data } = expectStatus(await getIndexes(first, globex), 200).json();
    expect(data).toHaveLength(1);
    expectProblem(await deleteIndex(first, globex, 'a_1'), 404, 'index_not_found');
    expect(await names()).toEqual(['_id_', 'a_1']);
  });

  test('may be read by whoever reads records, and changed by no editor', async () => {
    const editor = await aMember(first, acme, 'editor');
    expectStatus(await getIndexes(first, editor), 200);
    expectProblem(await postIndex(first, editor, on('a')), 403, 'permission_denied');
    expectProblem(await deleteIndex(first, editor, 'a_1'), 403, 'permission_denied');
  });
});

describe('a unique index', () => {
  test('holds', async () => {
    expectStatus(await postIndex(first, acme, { ...on('email'), unique: true }), 201);
    const records = await recordsOf(second, acme);
    expect(await records.insertEach([{ email: 'a' }, { email: 'a' }])).toHaveLength(1);
  });

  test('is refused where records have the same value, and leaves nothing', async () => {
    await insert({ email: 'a', n: 1 }, { email: 'a', n: 1 });
    const body = { ...on('email', 'n'), unique: true };
    const problem = expectProblem(await postIndex(first, acme, body), 409, 'duplicate_value');
    expect(problem.detail).toContain('email, n');
    expect(await names()).toEqual(['_id_']);
  });
});

describe('what cannot be an index', () => {
  test.each<[string, object, string]>([
    ['of a name with a dollar sign', on('$a'), '/fields/0/field'],
    ['of a path with an empty part', on('a..b'), '/fields/0/field'],
    ['on _id', on('_id'), '/fields/0/field'],
    [
      'with a life on two fields',
      { ...on('a', 'b'), expire_after_seconds: 1 },
      '/expire_after_seconds',
    ],
    [
      'with an operator that is none',
      { ...on('a'), partial_filter: { a: { $foo: 1 } } },
      '/partial_filter/a/$foo',
    ],
    ['with $ne', { ...on('a'), partial_filter: { a: { $ne: 1 } } }, '/partial_filter'],
    [
      'with $exists: false',
      { ...on('a'), partial_filter: { a: { $exists: false } } },
      '/partial_filter',
    ],
    ['with $regex', { ...on('a'), partial_filter: { a: { $regex: 'x' } } }, '/partial_filter'],
    ['with the name *', { ...on('a'), name: '*' }, '/name'],
    ['with the name $x', { ...on('a'), name: '$x' }, '/name'],
    ['without fields', { fields: [] }, '/fields'],
    ['of 33 fields', on(...Array.from({ length: 33 }, (_, n) => `f${n}`)), '/fields'],
    ['of fields as an object', { fields: { a: 1 } }, '/fields'],
    ['with another order', { fields: [{ field: 'a', order: 'sideways' }] }, '/fields/0/order'],
    ['with an unknown option', { ...on('a'), hidden: true }, '/hidden'],
    ['with a negative life', { ...on('a'), expire_after_seconds: -1 }, '/expire_after_seconds'],
    ['with a lone surrogate', on('\ud800'), '/fields/0/field'],
  ])('%s is refused', async (_what, body, path) => {
    const answer = await postIndex(first, acme, body);
    expect(answer.statusCode, answer.body).toBe(422);
    expect(pathsOf(answer.json())).toEqual([path]);
    expect(await names()).toEqual(['_id_']);
  });

  test.each<[string, Document, object]>([
    ['two lists', { p: [1], q: [2] }, on('p', 'q')],
    [
      'a text where a place is to be',
      { at: 'here' },
      { fields: [{ field: 'at', order: '2dsphere' }] },
    ],
    [
      'a language that is none',
      { a: 'x', language: 'klingon' },
      { fields: [{ field: 'a', order: 'text' }] },
    ],
    ['a list that is to be hashed', { h: [1] }, { fields: [{ field: 'h', order: 'hashed' }] }],
  ])('nor one for records with %s', async (_what, document, body) => {
    await insert(document);
    expectProblem(await postIndex(first, acme, body), 422, 'invalid_index');
    expect(await names()).toEqual(['_id_']);
  });

  test('the index on _id stays, and * is the name of none', async () => {
    expectStatus(await postIndex(first, acme, on('a')), 201);
    expectProblem(await deleteIndex(first, acme, '_id_'), 422, 'invalid_index');
    expectProblem(await deleteIndex(first, acme, '*'), 404, 'index_not_found');
    expect(await names()).toEqual(['_id_', 'a_1']);
  });
});

describe('the limit', () => {
  test('is told, and holds for what is new only', async () => {
    for (const name of ['a', 'b', 'c']) expectStatus(await postIndex(first, acme, on(name)), 201);
    expectProblem(await postIndex(first, acme, on('d')), 403, 'index_limit_reached');
    expectStatus(await postIndex(first, acme, on('c')), 200);
    expectStatus(await deleteIndex(first, acme, 'a_1'), 204);
    expectStatus(await postIndex(first, acme, on('d')), 201);
    expect(await names()).toEqual(['_id_', 'b_1', 'c_1', 'd_1']);
  });

  // Several rounds: who looks at the indexes while another is taken away was refused by MongoDB every other time.
  test.each([1, 2, 3, 4])('is reached exactly by many at once, on two instances (%i)', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => postIndex(n % 2 ? first : second, acme, on(`f${n}`))),
    );
    expect(tally(answers)).toEqual({ '201': 3, '403 index_limit_reached': 9 });
    expect(await names()).toHaveLength(MAX_INDEXES);
  });
});
