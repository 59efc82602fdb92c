import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { type IndexRequest, indexDefinition } from '../../../src/indexes/index-definition.ts';

function faultsOf(request: IndexRequest): string[] {
  try {
    indexDefinition(request);
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return (error.errors ?? []).map(({ path, message }) => `${path} ${message}`);
  }
}

describe('an index', () => {
  test('keeps the order of its fields, whatever they are called', () => {
    const { key, name } = indexDefinition({
      fields: [{ field: 'b' }, { field: '7', order: 'desc' }, { field: 'a' }],
    });
    expect([...key]).toEqual([
      ['b', 1],
      ['7', -1],
      ['a', 1],
    ]);
    expect(name).toBe('b_1_7_-1_a_1');
  });

  test('has a name that can stand in a path, and that is the same each time', () => {
    const fields = [{ field: 'größe' }];
    const { name } = indexDefinition({ fields });
    expect(name).toMatch(/^index_[0-9a-f]{16}$/);
    expect(indexDefinition({ fields }).name).toBe(name);
    expect(indexDefinition({ fields: [{ field: 'x'.repeat(200) }] }).name).toMatch(/^index_/);
    expect(indexDefinition({ fields, name: 'size' }).name).toBe('size');
  });

  test('has the options that were given', () => {
    const { options } = indexDefinition({
      ...{ fields: [{ field: 'at' }], unique: true, sparse: false, expire_after_seconds: 0 },
      partial_filter: { at: { $gt: { $date: '2026-01-01T00:00:00Z' } } },
    });
    expect(options).toEqual({
      unique: true,
      expireAfterSeconds: 0,
      partialFilterExpression: { at: { $gt: new Date('2026-01-01T00:00:00Z') } },
    });
  });

  test.each<[IndexRequest, string]>([
    [{ fields: [{ field: '$a' }] }, '/fields/0/field is no name of a field'],
    [{ fields: [{ field: 'a.$**' }] }, '/fields/0/field is no name of a field'],
    [{ fields: [{ field: 'a\0' }] }, '/fields/0/field is no name of a field'],
    [{ fields: [{ field: 'a..b' }] }, '/fields/0/field has an empty part'],
    [{ fields: [{ field: 'a.' }] }, '/fields/0/field has an empty part'],
    [{ fields: [{ field: 'a' }, { field: 'a', order: 'desc' }] }, '/fields/1/field is in the'],
    [{ fields: [{ field: '_id' }] }, '/fields/0/field has an index already'],
    [{ fields: [{ field: 'a' }], name: '_id_' }, '/name is the name of the index on _id'],
    [
      {
        fields: [
          { field: 'a', order: 'text' },
          { field: 'b', order: 'hashed' },
        ],
      },
      '/fields cannot be of several kinds',
    ],
    [{ fields: [{ field: 'a', order: 'hashed' }], unique: true }, '/unique is not for hashed'],
    [{ fields: [{ field: 'a' }], sparse: true, partial_filter: {} }, '/sparse cannot be used'],
    [
      { fields: [{ field: 'a' }, { field: 'b' }], expire_after_seconds: 1 },
      '/expire_after_seconds needs an index on one field',
    ],
    [
      { fields: [{ field: 'a', order: '2dsphere' }], expire_after_seconds: 1 },
      '/expire_after_seconds needs an index on one field',
    ],
    [{ fields: [{ field: 'a' }], partial_filter: 5 }, '/partial_filter must be an object'],
    [
      { fields: [{ field: 'a' }], partial_filter: { $where: '1' } },
      '/partial_filter/$where $where is not an operator',
    ],
  ])('%j is refused', (request, fault) => {
    expect(faultsOf(request).join('\n')).toContain(fault);
  });
});
