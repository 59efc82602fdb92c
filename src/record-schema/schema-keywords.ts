import type { Document } from 'mongodb';
import { bsonOf, InvalidExtendedJsonError, pointer } from '../records/extended-json.ts';
import { bsonTypeOf } from '../tenants/bson-order.ts';
import type { SchemaPlace } from './schema-place.ts';

const MAX_PATTERN = 256;
const MAX_TEXT = 1_000;
const MAX_VALUES = 1_000;

const JSON_TYPES = ['array', 'boolean', 'null', 'number', 'object', 'string'];
const BSON_TYPES = [
  ...['array', 'binData', 'bool', 'date', 'dbPointer', 'decimal', 'double', 'int', 'javascript'],
  ...['javascriptWithScope', 'long', 'maxKey', 'minKey', 'null', 'number', 'object', 'objectId'],
  ...['regex', 'string', 'symbol', 'timestamp', 'undefined'],
];

/** Reads the value of a keyword; what is wrong with it is noted at the place. */
type Read = (value: unknown, place: SchemaPlace) => unknown;

/** What to use in place of keywords that others than MongoDB know. */
const HINTS: Readonly<Record<string, string>> = {
  $ref: 'write out what it refers to',
  $defs: 'write out what refers to it',
  definitions: 'write out what refers to it',
  format: 'use pattern, or bsonType for dates and ids',
  const: 'use enum with one value',
  contains: 'use items',
  propertyNames: 'use patternProperties and additionalProperties: false',
};

/**
 * Reads a schema, parsed JSON, as MongoDB takes it: JSON Schema draft 4 with `bsonType`, without references.
 *
 * @returns the schema with its values as BSON; of use only if nothing was noted
 * @see https://www.mongodb.com/docs/manual/reference/operator/query/jsonSchema/
 */
export function schemaOf(value: unknown, place: SchemaPlace): Document {
  const inside = place.enter();
  if (inside === undefined) return {};
  if (!isPlainObject(value)) {
    place.fault('must be a schema, which is an object');
    return {};
  }
  if ('type' in value && 'bsonType' in value)
    inside.at('type').fault('cannot be used together with bsonType');
  for (const [keyword, limit] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const)
    if (keyword in value && !(limit in value))
      inside.at(keyword).fault(`is a flag beside ${limit}, as in JSON Schema draft 4`);
  return Object.fromEntries(
    Object.entries(value).map(([keyword, operand]) => [keyword, read(keyword, operand, inside)]),
  );
}

function read(keyword: string, operand: unknown, place: SchemaPlace): unknown {
  const at = place.at(keyword);
  const reader = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined;
  if (reader !== undefined) return reader(operand, at);
  const hint = Object.hasOwn(HINTS, keyword) ? `: ${HINTS[keyword]}` : '';
  return at.fault(`is not a keyword that MongoDB knows${hint}`);
}

const flag: Read = (value, place) =>
  typeof value === 'boolean' ? value : place.fault('must be true or false');

const text: Read = (value, place) =>
  typeof value === 'string' && value.isWellFormed() && value.length <= MAX_TEXT
    ? value
    : place.fault(`must be a text of at most ${MAX_TEXT} characters`);

const size: Read = (value, place) =>
  Number.isSafeInteger(value) && Number(value) >= 0
    ? bson(value, place)
    : place.fault('must be a whole number, 0 or greater');

const number: Read = (value, place) => {
  const found = bson(value, place);
  const isNumber = ['int', 'long', 'double', 'decimal'].includes(bsonTypeOf(found));
  return isNumber && Number.isFinite(Number(found)) ? found : place.fault('must be a number');
};

const divisor: Read = (value, place) => {
  const found = number(value, place);
  return found === undefined || Number(found) > 0 ? found : place.fault('must be greater than 0');
};

const pattern: Read = (value, place) =>
  typeof value === 'string' ? checkedPattern(value, place) : place.fault('must be a pattern');

const typesFrom =
  (names: readonly string[]): Read =>
  (value, place) => {
    const all = [value].flat();
    if (all.length === 0 || new Set(all).size < all.length)
      return place.fault('must name at least one type, and each once');
    if (all.every((one) => names.includes(one as string))) return value;
    return place.fault(
      all.includes('integer')
        ? 'cannot be "integer", which MongoDB does not know: use "bsonType": ["int", "long"]'
        : `must be of ${names.join(', ')}, or a list of them`,
    );
  };

const values: Read = (value, place) => {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_VALUES)
    return place.fault(`must be a list of 1 to ${MAX_VALUES} values`);
  if (new Set(value.map((one) => JSON.stringify(one))).size < value.length)
    return place.fault('must not hold a value twice');
  return value.map((one, at) => bson(one, place.at(at)));
};

const names: Read = (value, place) => {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_VALUES)
    return place.fault(`must be a list of 1 to ${MAX_VALUES} names`);
  if (new Set(value).size < value.length) return place.fault('must not hold a name twice');
  return value.map((one, at) =>
    typeof one === 'string'
      ? checkedName(one, place.at(at))
      : place.at(at).fault('must be the name of a field'),
  );
};

const schemas: Read = (value, place) =>
  Array.isArray(value) && value.length > 0
    ? value.map((one, at) => schemaOf(one, place.at(at)))
    : place.fault('must be a list of at least one schema');

const flagOrSchema: Read = (value, place) =>
  typeof value === 'boolean' ? value : schemaOf(value, place);

const items: Read = (value, place) =>
  Array.isArray(value)
    ? value.map((one, at) => schemaOf(one, place.at(at)))
    : schemaOf(value, place);

/** An object with a value under each of some names. */
const byName =
  (checkName: (name: string, place: SchemaPlace) => unknown, readValue: Read): Read =>
  (value, place) => {
    if (!isPlainObject(value)) return place.fault('must be an object');
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => {
        checkName(name, place.at(name));
        return [name, readValue(one, place.at(name))];
      }),
    );
  };

const KEYWORDS: Readonly<Record<string, Read>> = {
  title: text,
  description: text,
  type: typesFrom(JSON_TYPES),
  bsonType: typesFrom(BSON_TYPES),
  enum: values,
  ...{ minimum: number, exclusiveMinimum: flag, maximum: number, exclusiveMaximum: flag },
  ...{ multipleOf: divisor, minLength: size, maxLength: size, pattern },
  ...{ items, additionalItems: flagOrSchema, minItems: size, maxItems: size, uniqueItems: flag },
  required: names,
  properties: byName(checkedName, schemaOf),
  patternProperties: byName(checkedPattern, schemaOf),
  additionalProperties: flagOrSchema,
  minProperties: size,
  maxProperties: size,
  dependencies: byName(checkedName, (value, place) =>
    Array.isArray(value) ? names(value, place) : schemaOf(value, place),
  ),
  ...{ allOf: schemas, anyOf: schemas, oneOf: schemas, not: schemaOf },
};

function checkedName(name: string, place: SchemaPlace): string | undefined {
  if (name === '' || name.includes('\0') || !name.isWellFormed() || name === '_bsontype')
    return place.fault('is no name of a field');
  // Measured: `properties: {"a.b": …}` is about `b` in `a`, not about a field of that name.
  if (name.includes('.'))
    return place.fault('has a dot, which MongoDB takes for a path: describe the object inside');
  return name;
}

function checkedPattern(value: string, place: SchemaPlace): string | undefined {
  if (value.includes('\0') || !value.isWellFormed()) return place.fault('must be a pattern');
  return value.length <= MAX_PATTERN
    ? value
    : place.fault(`must have at most ${MAX_PATTERN} characters`);
}

function bson(value: unknown, place: SchemaPlace): unknown {
  try {
    return bsonOf(value, place.path);
  } catch (error) {
    if (!(error instanceof InvalidExtendedJsonError)) throw error;
    for (const { message, path: at } of error.errors ?? []) place.fault(message, at);
    return undefined;
  }
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every pattern of a schema, and where it stands. */
export function* patternsIn(schema: Document, path = ''): Generator<[string, string]> {
  for (const [keyword, value] of Object.entries(schema)) {
    const at = pointer(path, keyword);
    if (keyword === 'pattern') yield [at, value];
    if (keyword === 'patternProperties')
      for (const name of Object.keys(value)) yield [pointer(at, name), name];
    yield* subschemasOf(keyword, value, at);
  }
}

function* subschemasOf(keyword: string, value: unknown, at: string): Generator<[string, string]> {
  if (['properties', 'patternProperties', 'dependencies'].includes(keyword)) {
    for (const [name, one] of Object.entries(value as Document))
      if (isPlainObject(one)) yield* patternsIn(one, pointer(at, name));
  } else if (['allOf', 'anyOf', 'oneOf', 'items'].includes(keyword) && Array.isArray(value)) {
    for (const [index, one] of value.entries()) yield* patternsIn(one, `${at}/${index}`);
  } else if (SCHEMA_KEYWORDS.has(keyword) && isPlainObject(value)) yield* patternsIn(value, at);
}

const SCHEMA_KEYWORDS = new Set(['not', 'items', 'additionalItems', 'additionalProperties']);
