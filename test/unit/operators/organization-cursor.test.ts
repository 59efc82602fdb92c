import fc from 'fast-check';
import { ObjectId } from 'mongodb';
import { expect, test } from 'vitest';
import { cursorOf, positionOf } from '../../../src/operators/organization-cursor.ts';

const id = new ObjectId();

test.each([
  ['name', 'name', 'acme gmbh'],
  ['-name', 'name', '株式会社'],
  ['size', 'size', 0],
  ['-size', 'size', 2 ** 53 - 1],
  ['created_at', 'created_at', new Date('2026-11-24T18:00:00.123Z')],
  ['-last_activity', 'last_activity', new Date(0)],
] as const)('a position in the order %s comes back as it was', (order, sort, value) => {
  expect(positionOf(cursorOf(order, { value, id }), order, sort)).toEqual({ value, id });
});

test('a cursor of another order is none', () => {
  const cursor = cursorOf('size', { value: 1, id });
  for (const [order, sort] of [
    ['-size', 'size'],
    ['name', 'name'],
    ['created_at', 'created_at'],
  ] as const)
    expect(() => positionOf(cursor, order, sort)).toThrow('after: must be the next_cursor');
});

test.each([
  ['nothing of the kind', 'x'],
  ['no array', encode({ 0: 'name', 1: 'a', 2: id.toHexString() })],
  ['an operator object', encode(['name', { $gt: '' }, id.toHexString()])],
  ['a value of another kind', encode(['name', 1, id.toHexString()])],
  ['null', encode(['name', null, id.toHexString()])],
  ['no id', encode(['name', 'a', 'x'])],
  ['an object for an id', encode(['name', 'a', { $oid: id.toHexString() }])],
  ['more than there is', encode(['name', 'a', id.toHexString(), 1])],
])('%s is no cursor', (_, cursor) => {
  expect(() => positionOf(cursor, 'name', 'name')).toThrow('after: must be the next_cursor');
});

test.each([1e300, 8.64e15 + 1, 0.5])('%d is no date', (value) => {
  const cursor = encode(['created_at', value, id.toHexString()]);
  expect(() => positionOf(cursor, 'created_at', 'created_at')).toThrow('after: must be');
});

test('no text makes it throw anything else', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json().map((json) => encode(JSON.parse(json))),
  );
  fc.assert(
    fc.property(text, (cursor) => {
      expect(() => positionOf(cursor, 'name', 'name')).toThrow('after: must be');
    }),
  );
});

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
