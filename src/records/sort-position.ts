import { createHash } from 'node:crypto';
import { BSON, type Document } from 'mongodb';
import { AppError, InvalidFieldError } from '../errors.ts';
import { type BsonType, bsonTypeOf, isNaNumber, typesWith } from '../tenants/bson-order.ts';
import { EXACT_TYPES } from './extended-json.ts';
import { exactArrayOf } from './record-bytes.ts';
import type { SortOrder } from './sort-order.ts';

/** Of a cursor, in characters: together with a filter it still fits into a URL. */
const MAX_CURSOR_LENGTH = 8_192;
const HASH_BYTES = 6;
/** Of a value in a cursor; MongoDB takes 180 levels, some of which a command has of its own. */
const MAX_DEPTH = 150;

/** Where a record is in an order: the server's own sort key, one value for each field of the order. */
export type SortPosition = readonly unknown[];

/**
 * Makes the cursor for the records after this position. It holds the values themselves, so it stays good whatever is
 * inserted, changed or deleted.
 *
 * @param key - the bytes of the sort key, an array
 * @throws InvalidFieldError when the values are too long for it
 */
export function cursorOf(order: SortOrder, key: Uint8Array): string {
  const cursor = Buffer.concat([hashOf(order), key]).toString('base64url');
  if (cursor.length > MAX_CURSOR_LENGTH)
    throw new InvalidFieldError(
      '/sort',
      'leads through values of more than 6,000 bytes, which is more than a cursor can hold',
    );
  return cursor;
}

/** @throws AppError `invalid_cursor` unless it was made for this order */
export function positionOf(order: SortOrder, cursor: string): SortPosition {
  if (cursor.length > MAX_CURSOR_LENGTH) throw invalid();
  const bytes = Buffer.from(cursor, 'base64url');
  const isWhole = bytes.toString('base64url') === cursor && bytes.length > HASH_BYTES;
  if (!isWhole || !bytes.subarray(0, HASH_BYTES).equals(hashOf(order))) throw invalid();
  const position = decoded(bytes.subarray(HASH_BYTES));
  if (position.length !== order.length) throw invalid();
  return position;
}

function decoded(key: Uint8Array): SortPosition {
  try {
    // Checks lengths and text, which what reads the parts of it does not. JavaScript has no word for some patterns.
    BSON.deserialize(key, EXACT_TYPES);
    const position = exactArrayOf(key);
    if (isDeeper(position, MAX_DEPTH)) throw new RangeError('no command can hold this');
    return position;
  } catch (cause) {
    // Whatever it stumbled over: these are bytes that this service has not made.
    throw invalid(cause);
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (!Array.isArray(value) && !(value instanceof Map)) return false;
  return levels === 0 || [...value.values()].some((one) => isDeeper(one, levels - 1));
}

/**
 * The condition for being after a position, on the sort key in `field`. It compares as the server sorts, across types.
 */
export function isAfter(order: SortOrder, position: SortPosition, field: string): Document {
  const ways = order.map((_, at) => ({
    $and: [
      ...position.slice(0, at).map((value, index) => isEqual(entry(field, index), value)),
      comesAfter(entry(field, at), position[at], order[at]?.direction ?? 1),
    ],
  }));
  return { $expr: { $or: ways } };
}

/**
 * A filter that lets everything through that may be after a position, and that an index serves; undefined where there is
 * none. It looks at the first field alone. Of an array the server sorts by the least element, or falling by the greatest,
 * so none of the elements may be before the position. What has other types goes through as well, but for missing values
 * and null, of which there are often many. (An `$or` with `$type` would say it all, and makes the planner scan the whole
 * index.)
 */
export function mayBeAfter(order: SortOrder, [value]: SortPosition): Document | undefined {
  const [first] = order;
  if (first === undefined || !SIMPLE.has(bsonTypeOf(value)) || isNaNumber(value)) return undefined;
  return {
    [first.path]:
      first.direction === -1 ? { $not: { $gt: value } } : { $not: { $lt: value }, $ne: null },
  };
}

/** The types whose values compare in a filter as they sort. */
const SIMPLE: ReadonlySet<BsonType> = new Set([
  ...typesWith(0),
  ...(['string', 'binData', 'objectId', 'bool', 'date', 'timestamp'] as const),
]);

function comesAfter(entry: Document, value: unknown, direction: 1 | -1): Document {
  if (value !== undefined)
    return { [direction === 1 ? '$gt' : '$lt']: [entry, { $literal: value }] };
  // The key of an empty array is undefined, which the driver cannot send. Only MinKey is before it.
  const isMinKey = { $eq: [{ $type: entry }, 'minKey'] };
  return direction === -1 ? isMinKey : { $not: [{ $or: [isMinKey, isUndefined(entry)] }] };
}

function isEqual(entry: Document, value: unknown): Document {
  return value === undefined ? isUndefined(entry) : { $eq: [entry, { $literal: value }] };
}

function isUndefined(entry: Document): Document {
  return { $eq: [{ $type: entry }, 'undefined'] };
}

function entry(field: string, at: number): Document {
  return { $arrayElemAt: [`$${field}`, at] };
}

function hashOf(order: SortOrder): Buffer {
  return createHash('sha256').update(JSON.stringify(order)).digest().subarray(0, HASH_BYTES);
}

function invalid(cause?: unknown): AppError {
  const message = 'must be the next_cursor of a list with the same sort';
  return new AppError('malformed', 'invalid_cursor', `after: ${message}`, {
    ...{ cause, errors: [{ path: '/after', message }] },
  });
}
