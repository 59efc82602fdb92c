import fc from 'fast-check';
import { BSON } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import {
  conditionsOf,
  entityTagsOf,
  matches,
  matchesWeakly,
} from '../../../src/records/entity-tags.ts';
import { projectionOf, projectionStage } from '../../../src/records/projection.ts';
import { exactOf } from '../../../src/records/record-bytes.ts';
import { recordIdOf, recordIdText } from '../../../src/records/record-id.ts';
import { sortOrderOf, sortStage } from '../../../src/records/sort-order.ts';
import { cursorOf, positionOf } from '../../../src/records/sort-position.ts';

const code = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return undefined;
};

describe('sort', () => {
  test('is by _id at last, and by nothing after it', () => {
    const up = (path: string) => ({ path, direction: 1 });
    const down = (path: string) => ({ path, direction: -1 });
    expect(sortOrderOf()).toEqual([up('_id')]);
    expect(sortOrderOf('-created_at,name')).toEqual([down('created_at'), up('name'), up('_id')]);
    expect(sortOrderOf({ a: -1, b: 1 })).toEqual([down('a'), up('b'), up('_id')]);
    expect(sortOrderOf('-a')).toEqual([down('a'), down('_id')]);
    expect(sortOrderOf('a,-_id,b')).toEqual([up('a'), down('_id')]);
    expect([...sortStage(sortOrderOf('b,1'))]).toEqual([
      ['b', 1],
      ['1', 1],
      ['_id', 1],
    ]);
  });

  test.for([
    'age:desc',
    '+age',
    'age desc',
    ...['a,', ',', '-', 'a,a', 'a,-a', '$where', 'a.$b', 'a..b', '.a', 'a\0'],
    ...['a,b,c,d,e,f,g,h,i', { a: 2 }, { a: '1' }, { a: { $meta: 'textScore' } }, [], 1, null],
    ...[{ a: 1, 1: 1 }, { $natural: 1 }],
  ])('%j is refused', (sort) => {
    expect(code(() => sortOrderOf(sort))).toBe('validation_failed');
  });
});

describe('fields', () => {
  test('are shown or left out', () => {
    expect(projectionStage(projectionOf('name,address.city'))).toEqual({
      ...{ _id: 1, name: 1, 'address.city': 1 },
    });
    expect(projectionStage(projectionOf('-notes'), 'd.')).toEqual({ 'd.notes': 0 });
    expect(projectionStage(projectionOf('_id'))).toEqual({ _id: 1 });
    expect(projectionOf('name,-_id')).toMatchObject({ isInclusion: true, hidesId: true });
    expect(projectionOf('-name,-_id')).toMatchObject({ isInclusion: false, hidesId: true });
    expect(projectionStage(projectionOf('-_id'))).toBeUndefined();
  });

  test.for(['', ',', '-', '{"a":1}', 'a,-b', 'a,a.b', 'a.b,a', '_id.x', '$a', 'a.$', 'a..b'])(
    '%j is refused',
    (fields) => {
      expect(code(() => projectionStage(projectionOf(fields)))).toBe('validation_failed');
    },
  );
});

describe('entity tags', () => {
  test('are read as RFC 9110 has them', () => {
    expect(entityTagsOf(' * ', 'if-match')).toBe('*');
    expect(entityTagsOf('"a"', 'if-match')).toEqual(['"a"']);
    expect(entityTagsOf('"a" , W/"b",, "c,d"', 'if-match')).toEqual(['"a"', 'W/"b"', '"c,d"']);
    for (const bad of [
      '',
      'a',
      '"a',
      'a"',
      '"a" "b"',
      '*, "a"',
      'w/"a"',
      '"a b"',
      `"${'x'.repeat(5_000)}"`,
    ])
      expect(
        code(() => entityTagsOf(bad, 'if-match')),
        bad,
      ).toBe('invalid_headers');
  });

  test('match weakly for reads, and strongly for changes', () => {
    expect(matchesWeakly(['W/"a"'], '"a"')).toBe(true);
    expect(matches(['W/"a"'], '"a"')).toBe(false);
    expect(matches(['"b"', '"a"'], '"a"')).toBe(true);
    expect(matches('*', '"a"')).toBe(true);
  });

  test('a change takes If-None-Match only as *', () => {
    expect(conditionsOf({ 'if-none-match': '*' })).toEqual({ ifAbsent: true });
    expect(code(() => conditionsOf({ 'if-none-match': '"a"' }))).toBe('invalid_headers');
  });
});

describe('cursors', () => {
  const order = sortOrderOf('-a');
  const key = BSON.serialize({ 0: 'x', 1: new BSON.ObjectId() });

  test('come back as what they were made of', () => {
    expect(positionOf(order, cursorOf(order, key))).toEqual([...exactOf(key).values()]);
  });

  test('are of one order', () => {
    for (const other of ['a', '-b', '-a,b', '', '-_id'])
      expect(code(() => positionOf(sortOrderOf(other), cursorOf(order, key)))).toBe(
        'invalid_cursor',
      );
  });

  test('that were never given are refused, whatever they are', () => {
    const cursor = cursorOf(order, key);
    const bytes = Buffer.from(cursor, 'base64url');
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const other = Buffer.from(bytes);
        other[at] = (other[at] ?? 0) ^ change;
        // Another value may come of it; nothing that fails.
        expect([undefined, 'invalid_cursor']).toContain(
          code(() => positionOf(order, other.toString('base64url'))),
        );
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (tail) => {
        const made = Buffer.concat([bytes.subarray(0, 6), tail]).toString('base64url');
        expect(code(() => positionOf(order, made))).toBe('invalid_cursor');
      }),
      { numRuns: 1_000 },
    );
    for (const bad of ['x', '=', `${cursor}=`, cursor.slice(0, -1), 'é'])
      expect(
        code(() => positionOf(order, bad)),
        bad,
      ).toBe('invalid_cursor');
  });

  test('deeper than a command can be are refused', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 600; level += 1) deep = { '': deep };
    const made = Buffer.concat([
      Buffer.from(cursorOf(order, key), 'base64url').subarray(0, 6),
      BSON.serialize({ 0: deep, 1: 1 }),
    ]);
    expect(code(() => positionOf(order, made.toString('base64url')))).toBe('invalid_cursor');
  });

  test('cannot hold very long values', () => {
    const long = BSON.serialize({ 0: 'x'.repeat(7_000), 1: 1 });
    expect(code(() => cursorOf(order, long))).toBe('validation_failed');
  });
});

test('every id has a text, which leads back to it', () => {
  const ids = [
    ...[
      'count',
      'batch',
      'true',
      '.',
      '..',
      '',
      '{',
      '"',
      '66f1c0ffee0ddba11ca75a1e',
      'a/b',
      '5',
      'null',
    ],
    ...[
      new BSON.ObjectId(),
      new BSON.Int32(5),
      new BSON.Double(5),
      true,
      new BSON.UUID().toBinary(),
    ],
    ...[new Date(0), { a: { b: new BSON.Int32(1) } }, new BSON.MinKey(), BSON.Long.MAX_VALUE],
  ];
  for (const id of ids) {
    const text = recordIdText(id);
    expect(['count', 'batch', '.', '..', '']).not.toContain(text);
    expect(BSON.serialize({ id: recordIdOf(text) })).toEqual(BSON.serialize({ id }));
  }
});
