import type { Document } from 'mongodb';

/**
 * The types of BSON in the order in which MongoDB sorts values of different types; those of one bracket are compared with
 * one another. The names are those of `$type`.
 *
 * @see https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
 */
const BRACKETS = [
  ['minKey'],
  ['undefined'],
  ['null'],
  ['double', 'int', 'long', 'decimal'],
  ['string', 'symbol'],
  ['object'],
  ['array'],
  ['binData'],
  ['objectId'],
  ['bool'],
  ['date'],
  ['timestamp'],
  ['regex'],
  ['dbPointer'],
  ['javascript'],
  ['javascriptWithScope'],
  ['maxKey'],
] as const;
export type BsonType = (typeof BRACKETS)[number][number];

const TAGS: Readonly<Record<string, BsonType>> = {
  Double: 'double',
  Int32: 'int',
  Long: 'long',
  Decimal128: 'decimal',
  BSONSymbol: 'symbol',
  Binary: 'binData',
  ObjectId: 'objectId',
  Timestamp: 'timestamp',
  BSONRegExp: 'regex',
  Code: 'javascript',
  MinKey: 'minKey',
  MaxKey: 'maxKey',
};
const PRIMITIVES: Readonly<Record<string, BsonType>> = {
  undefined: 'undefined',
  number: 'double',
  bigint: 'long',
  string: 'string',
  boolean: 'bool',
};

/** The type with which the driver would store a value. Of numbers that are JavaScript's, `double` stands for any. */
export function bsonTypeOf(value: unknown): BsonType {
  const primitive = PRIMITIVES[typeof value];
  if (primitive !== undefined) return primitive;
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Date) return 'date';
  if (value instanceof RegExp) return 'regex';
  if (value instanceof Uint8Array) return 'binData';
  return TAGS[String((value as { _bsontype?: unknown })._bsontype)] ?? 'object';
}

/** The types that are compared with the value itself. */
export function typesWith(value: unknown): readonly BsonType[] {
  return BRACKETS[bracketOf(value)] ?? [];
}

/** The types whose every value sorts after this one. */
export function typesAfter(value: unknown): BsonType[] {
  return BRACKETS.slice(bracketOf(value) + 1).flat();
}

/** The types whose every value sorts before this one. */
export function typesBefore(value: unknown): BsonType[] {
  return BRACKETS.slice(0, bracketOf(value)).flat();
}

/**
 * A filter for the documents whose `_id` sorts after this one, whatever the types are: `$gt` alone compares within one
 * type. Served by the index on `_id`.
 */
export function idAfter(id: unknown): Document {
  const after = { _id: { $type: typesAfter(id) } };
  if (isNaNumber(id)) {
    const otherNumbers = { _id: { $type: typesWith(id), $ne: id } };
    return { $or: [otherNumbers, after] };
  }
  return typesAfter(id).length === 0
    ? { _id: { $gt: id } }
    : { $or: [{ _id: { $gt: id } }, after] };
}

/** The mirror of {@link idAfter}: for the documents whose `_id` sorts before this one. */
export function idBefore(id: unknown): Document {
  const types = typesBefore(id);
  if (types.length === 0) return { _id: { $in: [] } };
  const before = { _id: { $type: types } };
  if (isNaNumber(id)) return before;
  const same = { _id: { $lt: id } };
  return { $or: isNumeric(id) ? [same, { _id: Number.NaN }, before] : [same, before] };
}

/** NaN is the least of the numbers, yet no operator but equality finds it. */
export function isNaNumber(value: unknown): boolean {
  return bsonTypeOf(value) !== 'object' && Number.isNaN(Number(value)) && isNumeric(value);
}

function isNumeric(value: unknown): boolean {
  return ['double', 'int', 'long', 'decimal'].includes(bsonTypeOf(value));
}

function bracketOf(value: unknown): number {
  const type = bsonTypeOf(value);
  return BRACKETS.findIndex((types) => types.some((one) => one === type));
}
