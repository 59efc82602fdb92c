import { createRequire } from 'node:module';
import type { IndexSpecification, Sort, SortDirection } from 'mongodb';
import { describe, expect, test } from 'vitest';
import {
  hasOperators,
  indexKeysOf,
  indexNameOf,
  knownOptions,
  sortOf,
} from '../../../src/library/driver-forms.ts';

/** The driver's own, which it does not export. */
const { formatSort }: { formatSort: (sort: unknown, direction?: unknown) => unknown } =
  createRequire(import.meta.url)('mongodb/lib/sort.js');

describe('a sort is read as the driver reads it', () => {
  test.for<[Sort | string, SortDirection?]>([
    ['a'],
    ['a', -1],
    ['a', 'descending'],
    [{ a: 1, b: -1 }],
    [{ a: 'asc', b: 'DESC' as 'desc' }],
    [{ score: { $meta: 'textScore' } }],
    [
      new Map<string, SortDirection>([
        ['b', -1],
        ['a', 1],
      ]),
    ],
    [['a', -1]],
    [['a', 'b']],
    [['a', 'desc']],
    [['a', 'b', 'c']],
    [
      [
        ['a', 1],
        ['b', 'descending'],
      ],
    ],
  ])('%j', ([sort, direction]) => {
    expect(sortOf(sort, direction)).toEqual(formatSort(sort, direction));
  });

  test('an empty one sorts by nothing, and a direction there is not is refused', () => {
    for (const sort of [{}, []] as Sort[]) expect(sortOf(sort).size).toBe(0);
    expect(() => sortOf({ a: 2 as 1 })).toThrow('Invalid sort direction');
  });
});

test.for<[IndexSpecification, [string, unknown][], string]>([
  ['a', [['a', 1]], 'a_1'],
  [
    { a: 1, b: -1 },
    [
      ['a', 1],
      ['b', -1],
    ],
    'a_1_b_-1',
  ],
  [
    ['a', 'b'],
    [
      ['a', 1],
      ['b', 1],
    ],
    'a_1_b_1',
  ],
  [['a', -1], [['a', -1]], 'a_-1'],
  [['a', 'text'], [['a', 'text']], 'a_text'],
  [
    [
      ['a', 1],
      ['b', '2dsphere'],
    ],
    [
      ['a', 1],
      ['b', '2dsphere'],
    ],
    'a_1_b_2dsphere',
  ],
  [
    [{ a: 1 }, { b: 'hashed' as 'text' }],
    [
      ['a', 1],
      ['b', 'hashed'],
    ],
    'a_1_b_hashed',
  ],
  [
    new Map<string, 1 | -1>([
      ['b', -1],
      ['a', 1],
    ]),
    [
      ['b', -1],
      ['a', 1],
    ],
    'b_-1_a_1',
  ],
])('an index is read as the driver reads it: %j', ([spec, keys, name]) => {
  expect([...indexKeysOf(spec)]).toEqual(keys);
  expect(indexNameOf(indexKeysOf(spec))).toBe(name);
});

test('an update has operators in every stage, a replacement begins with none', () => {
  for (const update of [{ $set: {} }, [{ $set: {} }, { $unset: 'a' }]])
    expect(hasOperators(update)).toBe(true);
  for (const update of [{}, { a: 1 }, [{ a: 1 }], { a: 1, $set: {} }])
    expect(hasOperators(update)).toBe(false);
});

test('an option that would not be honoured is refused, unless it is not set', () => {
  expect(knownOptions('find', { limit: 1, session: undefined }, ['limit'])).toEqual({ limit: 1 });
  expect(() => knownOptions('find', { session: {} }, ['limit'])).toThrow('find');
});
