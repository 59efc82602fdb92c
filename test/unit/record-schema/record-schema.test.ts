import fc from 'fast-check';
import { Decimal128, ObjectId } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { parseRecordSchema } from '../../../src/record-schema/record-schema.ts';
import { InvalidSchemaError } from '../../../src/record-schema/record-schema-errors.ts';
import { rulesOf } from '../../../src/record-schema/schema-rules.ts';
import { schemaErrors } from '../../../src/record-schema/schema-violations.ts';
import { SCHEMA_CASES } from '../../support/schema-cases.ts';

function faultsOf(schema: unknown): string[] {
  try {
    parseRecordSchema(schema);
    return [];
  } catch (error) {
    if (!(error instanceof InvalidSchemaError)) throw error;
    return (error.errors ?? []).map(({ path, message }) => `${path} ${message}`);
  }
}

const nested = (depth: number): unknown =>
  depth === 0 ? {} : { properties: { a: nested(depth - 1) } };

describe('a schema', () => {
  test.each(SCHEMA_CASES.map(({ keyword, schema }) => [keyword, schema] as const))(
    'may use %s',
    (_keyword, schema) => {
      expect(parseRecordSchema(schema)).toEqual(schema);
    },
  );

  test('has its values as BSON', () => {
    const _id = new ObjectId();
    const schema = {
      properties: {
        a: { enum: [{ $oid: _id.toHexString() }], minimum: { $numberDecimal: '1.5' } },
      },
    };
    expect(parseRecordSchema(schema)).toEqual({
      properties: { a: { enum: [_id], minimum: Decimal128.fromString('1.5') } },
    });
  });

  test.each([
    [5, ' must be a schema'],
    [{ $ref: '#/x' }, '/$ref is not a keyword that MongoDB knows: write out'],
    [{ properties: { a: { format: 'email' } } }, '/properties/a/format is not a keyword'],
    [{ $schema: 'x' }, '/$schema is not a keyword'],
    [{ toString: 1 }, '/toString is not a keyword'],
    [{ encrypt: {} }, '/encrypt is not a keyword'],
    [{ properties: { a: { type: 'integer' } } }, '"bsonType": ["int", "long"]'],
    [{ properties: { a: { bsonType: 'any' } } }, '/properties/a/bsonType must be of array'],
    [{ properties: { a: { bsonType: [] } } }, '/properties/a/bsonType must name at least one'],
    [{ properties: { a: { bsonType: ['int', 'int'] } } }, 'each once'],
    [{ type: 'object', bsonType: 'object' }, '/type cannot be used together'],
    [{ bsonType: 'string' }, '/bsonType must be "object"'],
    [{ exclusiveMinimum: 5 }, '/exclusiveMinimum is a flag beside minimum'],
    [{ minimum: 1, exclusiveMinimum: 5 }, '/exclusiveMinimum must be true or false'],
    [{ minimum: '1' }, '/minimum must be a number'],
    [{ minimum: { $numberDouble: 'NaN' } }, '/minimum must be a number'],
    [{ minimum: { $numberInt: 'x' } }, '/minimum is not a valid $numberInt'],
    [{ multipleOf: 0 }, '/multipleOf must be greater than 0'],
    [{ minLength: -1 }, '/minLength must be a whole number'],
    [{ maxItems: 1.5 }, '/maxItems must be a whole number'],
    [{ pattern: 5 }, '/pattern must be a pattern'],
    [{ pattern: 'x'.repeat(257) }, '/pattern must have at most 256'],
    [{ pattern: 'a\0b' }, '/pattern must be a pattern'],
    [{ enum: [] }, '/enum must be a list of 1 to'],
    [{ enum: [1, 1] }, '/enum must not hold a value twice'],
    [{ enum: [{ $where: 1 }] }, '/enum/0/$where has a name that begins with $'],
    [{ required: [] }, '/required must be a list'],
    [{ required: ['a', 'a'] }, '/required must not hold a name twice'],
    [{ required: [5] }, '/required/0 must be the name'],
    [{ required: ['a.b'] }, '/required/0 has a dot'],
    [{ properties: { 'a.b': {} } }, '/properties/a.b has a dot'],
    [{ properties: { '': {} } }, '/properties/ is no name'],
    [{ properties: { _bsontype: {} } }, '/properties/_bsontype is no name'],
    [{ properties: { a: 5 } }, '/properties/a must be a schema'],
    [{ properties: [] }, '/properties must be an object'],
    [{ items: true }, '/items must be a schema'],
    [{ items: [5] }, '/items/0 must be a schema'],
    [{ additionalProperties: 5 }, '/additionalProperties must be a schema'],
    [{ additionalProperties: false }, '/additionalProperties would forbid _id'],
    [{ allOf: [{ additionalProperties: false }] }, '/allOf/0/additionalProperties would forbid'],
    [{ allOf: [] }, '/allOf must be a list of at least one'],
    [{ not: [] }, '/not must be a schema'],
    [{ dependencies: { a: [] } }, '/dependencies/a must be a list'],
    [{ dependencies: { a: 5 } }, '/dependencies/a must be a schema'],
    [{ title: 5 }, '/title must be a text'],
    [{ uniqueItems: 1 }, '/uniqueItems must be true or false'],
    [nested(20), '/a is nested more than 20 schemas deep'],
    [{ anyOf: Array.from({ length: 1_000 }, () => ({})) }, '/anyOf/999 is beyond the 1000 schemas'],
  ])('%j is refused', (schema, fault) => {
    expect(faultsOf(schema).join('\n')).toContain(fault);
  });

  test('may be 20 schemas deep', () => {
    expect(faultsOf(nested(19))).toEqual([]);
  });

  test('is told all its faults at once, up to twenty', () => {
    expect(faultsOf({ minimum: 'x', maximum: 'y' })).toHaveLength(2);
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`x${n}`, 1]));
    expect(faultsOf(many)).toHaveLength(20);
  });

  test('that is any JSON at all is read or refused', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        faultsOf(value);
      }),
    );
    const keywords = SCHEMA_CASES.flatMap(({ schema }) => Object.keys(schema));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keywords), fc.jsonValue()), (schema) => {
        faultsOf(schema);
      }),
    );
  });
});

test('a schema is taken apart into rules that each name their place', () => {
  const rules = rulesOf({
    bsonType: 'object',
    title: 'A thing',
    required: ['a', 'b'],
    properties: { a: { properties: { c: { minimum: 3, exclusiveMinimum: true } } } },
    patternProperties: { '^x': { bsonType: 'int' } },
    additionalProperties: false,
  });
  expect(rules.map(({ schema, path }) => ({ schema, path }))).toEqual([
    { schema: { bsonType: 'object' }, path: '' },
    { schema: { required: ['a'] }, path: '/a' },
    { schema: { required: ['b'] }, path: '/b' },
    {
      schema: {
        properties: { a: { properties: { c: { minimum: 3, exclusiveMinimum: true } } } },
      },
      path: '/a/c',
    },
    { schema: { patternProperties: { '^x': { bsonType: 'int' } } }, path: '' },
    {
      schema: {
        additionalProperties: false,
        properties: { a: {} },
        patternProperties: { '^x': {} },
      },
      path: '',
    },
  ]);
});

test.each([undefined, {}, { details: {} }, { details: { schemaRulesNotSatisfied: 'x' } }])(
  'a violation of which MongoDB says %j is told nevertheless',
  (errInfo) => {
    expect(schemaErrors(errInfo)).toEqual([
      { path: '', message: "breaks the organization's schema" },
    ]);
  },
);

test('a violation by a rule that is not known names it', () => {
  const rule = { operatorName: 'toString' };
  expect(schemaErrors({ details: { schemaRulesNotSatisfied: [rule] } })).toEqual([
    { path: '', message: 'breaks the schema (toString)' },
  ]);
});
