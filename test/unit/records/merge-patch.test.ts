import { Int32, ObjectId } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { jsonOf } from '../../../src/records/extended-json.ts';
import { mergePatch } from '../../../src/records/merge-patch.ts';
import { exactOf } from '../../../src/records/record-bytes.ts';
import { recordOf } from '../../../src/records/record-document.ts';

type Json = Record<string, unknown>;

function patched(target: Json, patch: Json): unknown {
  const { bytes } = recordOf(target, '', () => 1);
  const { _id, ...rest } = jsonOf(mergePatch(exactOf(bytes), patch, ''), 'relaxed') as Json;
  return rest;
}

describe('the examples of RFC 7396, as far as they are of objects', () => {
  test.for<[Json, Json, Json]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j is %j', ([target, patch, result]) => {
    expect(patched(target, patch)).toEqual(result);
  });
});

test('a value of Extended JSON is one value', () => {
  const date = { $date: '2026-11-24T00:00:00.000Z' };
  expect(patched({ at: { from: 1 } }, { at: date })).toEqual({ at: date });
  expect(patched({ at: date }, { at: { from: 1 } })).toEqual({ at: { from: 1 } });
});

test('the order of fields stays, and what is new comes last', () => {
  const target = new Map<string, unknown>([
    ...([['_id', new ObjectId()]] as const),
    ...([
      ['b', new Int32(1)],
      ['7', new Int32(2)],
    ] as const),
  ]);
  const result = mergePatch(target, { c: 1, '7': 3 }, '');
  expect([...result.keys()]).toEqual(['_id', 'b', '7', 'c']);
  expect([...target.keys()]).toEqual(['_id', 'b', '7']);
});

test.for<[Json, string]>([
  [{ $set: { a: 1 } }, '/$set'],
  [{ a: { $inc: 1 } }, '/a/$inc'],
  [{ a: { b: { $oid: 'x' } } }, '/a/b'],
  [{ 'a\0': null }, '/a\0'],
  [{ $oid: '66f1c0ffee0ddba11ca75a1e' }, ''],
])('%j is refused at %j', ([patch, path]) => {
  expect(() => mergePatch(new Map(), patch, '')).toThrow(
    expect.objectContaining({ errors: [expect.objectContaining({ path })] }),
  );
});

test('nesting without end is refused', () => {
  let patch: Json = { a: 1 };
  for (let level = 0; level < 100; level += 1) patch = { a: patch };
  expect(() => mergePatch(new Map(), patch, '')).toThrow(/levels deep/);
});
