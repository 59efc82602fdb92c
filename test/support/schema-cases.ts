import type { Document } from 'mongodb';
import type { FieldError } from '../../src/errors.ts';

/** A schema, a record that breaks it, and what is said of that record. */
export interface SchemaCase {
  keyword: string;
  schema: Document;
  record: Document;
  errors: FieldError[];
  /** What is said when the record was there before the schema, where that is less. */
  existing?: FieldError[];
}

const about = (keyword: string, a: Document, value: unknown, message: string): SchemaCase => ({
  ...{ keyword, schema: { properties: { a } }, record: { a: value } },
  errors: [{ path: '/a', message }],
});

/** Every keyword that MongoDB knows, once or more. */
export const SCHEMA_CASES: readonly SchemaCase[] = [
  about('bsonType', { bsonType: 'int' }, 'x', 'must be of type int'),
  about('bsonType', { bsonType: ['int', 'null'] }, 'x', 'must be of type int or null'),
  about('type', { type: 'string' }, 1, 'must be of type string'),
  about('minimum', { minimum: 3 }, 1, 'must be at least 3'),
  about('minimum', { minimum: 3, exclusiveMinimum: true }, 3, 'must be greater than 3'),
  about('maximum', { maximum: 3 }, 4, 'must be at most 3'),
  about('maximum', { maximum: 3, exclusiveMaximum: true }, 3, 'must be less than 3'),
  about('multipleOf', { multipleOf: 3 }, 4, 'must be a multiple of 3'),
  about('minLength', { minLength: 1 }, '', 'must have at least 1 character'),
  about('maxLength', { maxLength: 3 }, 'abcd', 'must have at most 3 characters'),
  about('pattern', { pattern: '^b' }, 'a', 'must match the pattern ^b'),
  about('enum', { enum: ['x', 1, null] }, 'a', 'must be "x", 1 or null'),
  about('minItems', { minItems: 1 }, [], 'must have at least 1 item'),
  about('maxItems', { maxItems: 1 }, [1, 2], 'must have at most 1 item'),
  about('uniqueItems', { uniqueItems: true }, [1, 1], 'must not hold an item twice'),
  about('minProperties', { minProperties: 1 }, {}, 'must have at least 1 field'),
  about('maxProperties', { maxProperties: 1 }, { b: 1, c: 1 }, 'must have at most 1 field'),
  about('not', { not: { bsonType: 'int' } }, 1, 'is what the schema excludes (not)'),
  about(
    'description',
    { bsonType: 'int', title: 'Age', description: 'in years' },
    'x',
    'must be of type int (in years)',
  ),
  {
    keyword: 'required',
    schema: { required: ['a', 'b'] },
    record: { a: 1 },
    errors: [{ path: '/b', message: 'is required' }],
  },
  {
    keyword: 'properties in properties, with names that are escaped',
    schema: { properties: { a: { required: ['d'], properties: { 'c/~': { bsonType: 'int' } } } } },
    record: { a: { 'c/~': 'x' } },
    errors: [
      { path: '/a/c~1~0', message: 'must be of type int' },
      { path: '/a/d', message: 'is required' },
    ],
  },
  {
    keyword: 'several at one place',
    schema: { properties: { a: { minLength: 3, pattern: '^b' } } },
    record: { a: 'x' },
    errors: [
      { path: '/a', message: 'must have at least 3 characters' },
      { path: '/a', message: 'must match the pattern ^b' },
    ],
  },
  {
    keyword: 'items',
    schema: { properties: { a: { items: { required: ['c'] } } } },
    record: { a: [{ c: 1 }, {}] },
    errors: [{ path: '/a/1/c', message: 'is required' }],
    existing: [{ path: '/a', message: 'has an item that breaks the schema' }],
  },
  {
    keyword: 'items, a list',
    schema: { properties: { a: { items: [{ bsonType: 'int' }, { bsonType: 'string' }] } } },
    record: { a: [1, 3] },
    errors: [{ path: '/a/1', message: 'must be of type string' }],
    existing: [{ path: '/a', message: 'has an item that breaks the schema' }],
  },
  about(
    'additionalItems',
    { items: [{ bsonType: 'int' }], additionalItems: false },
    [1, 3],
    'has more items than the schema allows',
  ),
  {
    keyword: 'additionalItems, a schema',
    schema: {
      properties: { a: { items: [{ bsonType: 'int' }], additionalItems: { bsonType: 'string' } } },
    },
    record: { a: [1, 3] },
    errors: [{ path: '/a/1', message: 'must be of type string' }],
    existing: [{ path: '/a', message: 'has an additional item that breaks the schema' }],
  },
  {
    keyword: 'additionalProperties',
    schema: { properties: { _id: {}, a: {} }, additionalProperties: false },
    record: { a: 1, x: 1, y: 2 },
    errors: [
      { path: '/x', message: 'is not a field that the schema allows' },
      { path: '/y', message: 'is not a field that the schema allows' },
    ],
    existing: [{ path: '', message: 'has a field that the schema does not allow' }],
  },
  {
    keyword: 'additionalProperties, a schema',
    schema: { properties: { _id: {} }, additionalProperties: { minimum: 3 } },
    record: { x: 2 },
    errors: [{ path: '/x', message: 'must be at least 3' }],
    existing: [{ path: '', message: 'has an additional field that breaks the schema' }],
  },
  {
    keyword: 'patternProperties',
    schema: {
      properties: { _id: {} },
      patternProperties: { '^s_': { bsonType: 'string' } },
      additionalProperties: false,
    },
    record: { s_a: 1 },
    errors: [{ path: '/s_a', message: 'must be of type string' }],
    existing: [{ path: '', message: 'has a field that breaks the schema of its name' }],
  },
  {
    keyword: 'dependencies',
    schema: { dependencies: { a: ['b', 'c'] } },
    record: { a: 1, b: 1 },
    errors: [{ path: '/c', message: 'is required where there is a' }],
    existing: [{ path: '', message: 'lacks what one of its fields calls for' }],
  },
  {
    keyword: 'dependencies, a schema',
    schema: { dependencies: { a: { properties: { d: { bsonType: 'int' } } } } },
    record: { a: 1, d: 'x' },
    errors: [{ path: '/d', message: 'must be of type int' }],
    existing: [{ path: '', message: 'lacks what one of its fields calls for' }],
  },
  {
    keyword: 'allOf',
    schema: { allOf: [{ required: ['a'] }, { properties: { b: { bsonType: 'int' } } }] },
    record: { b: 'x' },
    errors: [
      { path: '/a', message: 'is required' },
      { path: '/b', message: 'must be of type int' },
    ],
  },
  {
    keyword: 'anyOf',
    schema: { properties: { q: { anyOf: [{ bsonType: 'int' }, { required: ['z'] }] } } },
    record: { q: {} },
    errors: [
      {
        path: '/q',
        message: 'fits none of the schemas in anyOf: must be of type int; or /z is required',
      },
    ],
    existing: [{ path: '/q', message: 'fits none of the schemas in anyOf' }],
  },
  {
    keyword: 'oneOf, none',
    schema: { oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    record: {},
    errors: [
      {
        path: '',
        message: 'fits none of the schemas in oneOf: /a is required; or /b is required',
      },
    ],
    existing: [{ path: '', message: 'must fit exactly one of the schemas in oneOf' }],
  },
  {
    keyword: 'oneOf, several',
    schema: { oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    record: { a: 1, b: 1 },
    errors: [{ path: '', message: 'fits more than one of the schemas in oneOf' }],
    existing: [{ path: '', message: 'must fit exactly one of the schemas in oneOf' }],
  },
];
