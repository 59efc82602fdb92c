import { BSON, Double, Int32, Long, ObjectId } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { FILTER_OPERATORS, filterOf } from '../../../src/records/record-filter.ts';

const read = (filter: unknown) => filterOf(filter, '/filter');

function refusalOf(filter: unknown): { code: string; path: string | undefined } {
  try {
    read(filter);
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, path: error.errors?.[0]?.path };
  }
  throw new Error(`${JSON.stringify(filter)} was not refused`);
}

describe('what filters may hold', () => {
  const id = '66f1c0ffee0ddba11ca75a1e';

  test.for([
    [{}, {}],
    [{ a: 1 }, { a: 1 }],
    [{ a: null }, { a: null }],
    [{ 'a.0.b': 'x' }, { 'a.0.b': 'x' }],
    [{ a: { b: 1 } }, { a: { b: 1 } }],
    [{ a: {} }, { a: {} }],
    [{ a: { $eq: { b: 1 } } }, { a: { $eq: { b: 1 } } }],
    [{ _id: { $oid: id } }, { _id: new ObjectId(id) }],
    [{ _id: { $in: [{ $oid: id }, 'x'] } }, { _id: { $in: [new ObjectId(id), 'x'] } }],
    [{ n: { $gt: { $numberLong: '5' } } }, { n: { $gt: Long.fromNumber(5) } }],
    [{ n: { $lte: { $numberDouble: '5.0' } } }, { n: { $lte: new Double(5) } }],
    [{ n: { $mod: [4, 0] } }, { n: { $mod: [4, 0] } }],
    [{ n: { $bitsAllSet: [1, 5] } }, { n: { $bitsAllSet: [1, 5] } }],
    [{ t: { $type: ['string', 2] } }, { t: { $type: ['string', 2] } }],
    [{ s: { $regex: '^a', $options: 'i' } }, { s: { $regex: '^a', $options: 'i' } }],
    [{ s: { $not: { $regex: '^a' } } }, { s: { $not: { $regex: '^a' } } }],
    [{ l: { $size: 2 } }, { l: { $size: 2 } }],
    [
      { l: { $all: [1, { $elemMatch: { b: 1 } }] } },
      { l: { $all: [1, { $elemMatch: { b: 1 } }] } },
    ],
    [{ l: { $elemMatch: { $gt: 1, $lt: 5 } } }, { l: { $elemMatch: { $gt: 1, $lt: 5 } } }],
    [{ l: { $elemMatch: { $or: [{ a: 1 }] } } }, { l: { $elemMatch: { $or: [{ a: 1 }] } } }],
    [{ $nor: [{ a: 1 }, { $and: [{ b: 2 }] }] }, { $nor: [{ a: 1 }, { $and: [{ b: 2 }] }] }],
    [{ r: { $ref: 'x', $id: 1 } }, { r: { $ref: 'x', $id: 1 } }],
    [{ 'r.$id': 1 }, { 'r.$id': 1 }],
    [
      {
        at: {
          $geoWithin: {
            $box: [
              [0, 0],
              [1, 1],
            ],
          },
        },
      },
      {
        at: {
          $geoWithin: {
            $box: [
              [0, 0],
              [1, 1],
            ],
          },
        },
      },
    ],
  ])('%j', ([filter, expected]) => {
    expect(read(filter)).toEqual(expected);
  });

  test('a number keeps the type it is written with', () => {
    expect(read({ n: { $numberInt: '5' } })).toEqual({ n: new Int32(5) });
  });
});

describe('what is refused, by its name', () => {
  const anywhere = [
    ...['$where', '$function', '$expr', '$jsonSchema', '$text', '$near', '$nearSphere', '$comment'],
    ...['$lookup', '$accumulator', '$rand', '$natural', '$query', '$sampleRate', '$slice', '$meta'],
    ...[
      '$set',
      '$max',
      '$maxDistance',
      '$uniqueDocs',
      '$alwaysTrue',
      '$',
      '$__proto__',
      '$toString',
    ],
  ];

  test.for(anywhere)('%s, wherever it stands', (operator) => {
    expect(refusalOf({ [operator]: 'x' })).toEqual({
      code: 'unsupported_operator',
      path: `/filter/${operator}`,
    });
    expect(refusalOf({ a: { [operator]: 'x' } })).toEqual({
      code: 'unsupported_operator',
      path: `/filter/a/${operator}`,
    });
    for (const filter of [
      { $and: [{ [operator]: 'x' }] },
      { a: { $not: { [operator]: 'x' } } },
      { a: { $elemMatch: { [operator]: 'x' } } },
      { a: { $gt: 1, [operator]: 'x' } },
      { a: { $all: [{ [operator]: 'x' }] } },
      // As values these are no operators, and no values either.
      { a: { $eq: { [operator]: 'x' } } },
      { a: { b: { [operator]: 'x' } } },
      { a: [{ [operator]: 'x' }] },
    ]) {
      const { code, path } = refusalOf(filter);
      expect(['unsupported_operator', 'validation_failed']).toContain(code);
      expect(path).toContain(operator);
    }
  });

  test.for([
    [null, '/filter'],
    [[], '/filter'],
    ['a', '/filter'],
    [{ $or: [] }, '/filter/$or'],
    [{ $or: {} }, '/filter/$or'],
    [{ $and: [1] }, '/filter/$and/0'],
    [{ a: { $in: 1 } }, '/filter/a/$in'],
    [{ a: { $in: Array.from({ length: 1_001 }, () => 1) } }, '/filter/a/$in'],
    [{ a: { $exists: 1 } }, '/filter/a/$exists'],
    [{ a: { $size: -1 } }, '/filter/a/$size'],
    [{ a: { $size: 1.5 } }, '/filter/a/$size'],
    [{ a: { $mod: [0, 1] } }, '/filter/a/$mod'],
    [{ a: { $mod: [0.5, 1] } }, '/filter/a/$mod'],
    [{ a: { $mod: [4] } }, '/filter/a/$mod'],
    [{ a: { $regex: 'x'.repeat(257) } }, '/filter/a/$regex'],
    [{ a: { $regex: 'a\0b' } }, '/filter/a/$regex'],
    [{ a: { $regex: { $regularExpression: { pattern: 'a', options: '' } } } }, '/filter/a/$regex'],
    [{ a: { $options: 'i' } }, '/filter/a'],
    [{ a: { $regex: 'a', $options: 'g' } }, '/filter/a/$options'],
    [{ a: { $not: 1 } }, '/filter/a/$not'],
    [{ a: { $not: {} } }, '/filter/a/$not'],
    [{ a: { $geoWithin: { $where: 1 } } }, '/filter/a/$geoWithin'],
    [{ a: { $type: null } }, '/filter/a/$type'],
    [{ a: { $oid: 'x' } }, '/filter/a'],
    [{ 'a.$where': 1 }, '/filter/a.$where'],
    [{ 'a\0': 1 }, '/filter/a\0'],
    [{ a: '\ud800' }, '/filter/a'],
    [{ a: { $regularExpression: { pattern: 'x'.repeat(257), options: '' } } }, '/filter/a'],
    [
      { a: { $in: [{ $regularExpression: { pattern: 'x'.repeat(257), options: '' } }] } },
      '/filter/a/$in/0',
    ],
  ])('%j at %s', ([filter, path]) => {
    expect(refusalOf(filter).path).toBe(path);
  });

  test('nesting and numbers of conditions without end', () => {
    let deep: object = { a: 1 };
    for (let level = 0; level < 30; level += 1) deep = { $and: [deep] };
    expect(refusalOf(deep).code).toBe('validation_failed');
    let list: unknown = 1;
    for (let level = 0; level < 5_000; level += 1) list = [list];
    expect(refusalOf({ a: list }).code).toBe('validation_failed');
    const wide = { $or: Array.from({ length: 1_000 }, (_, a) => ({ a })) };
    expect(refusalOf(wide).code).toBe('validation_failed');
  });
});

test('whatever gets through can be written for the database', () => {
  const all = FILTER_OPERATORS.filter((name) => !/geo|bits/i.test(name));
  expect(all.length).toBeGreaterThan(15);
  expect(() => BSON.serialize(read({ a: { $in: [1, 'x', null, { $minKey: 1 }] } }))).not.toThrow();
});
