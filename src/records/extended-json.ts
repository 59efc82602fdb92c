import { Binary, BSON, Decimal128, Double, Int32, Long, ObjectId, Timestamp } from 'mongodb';
import { AppError, type FieldError } from '../errors.ts';

const { EJSON, BSONRegExp, MaxKey, MinKey } = BSON;

/** Nested deeper than this a value is refused. MongoDB itself takes 180 levels, and many tools fewer. */
export const MAX_DEPTH = 64;

/** How documents are read for the records API: with the types they have, so that they can be written back as they were. */
export const EXACT_TYPES = {
  promoteValues: false,
  promoteLongs: false,
  promoteBuffers: false,
  bsonRegExp: true,
} as const;

/** Relaxed: numbers and dates as people write them. Canonical: every type spelled out. */
export type ExtendedJsonMode = 'relaxed' | 'canonical';

/** A value that cannot be stored, and where it is. */
export class InvalidExtendedJsonError extends AppError {
  constructor(error: FieldError) {
    super('invalid', 'validation_failed', `${error.path.slice(1) || 'body'}: ${error.message}`, {
      errors: [error],
    });
  }
}

/**
 * Parses JSON text without loss: whole numbers that a JavaScript number cannot hold become `{"$numberLong": …}`, as long as
 * they fit 64 bits.
 *
 * @param text - JSON that has been checked for `__proto__` keys
 * @throws SyntaxError
 */
export function parseExactJson(text: string): unknown {
  // Most texts hold no such number, and a reviver takes several times as long.
  return /\d{16}/.test(text) ? JSON.parse(text, exactNumber) : JSON.parse(text);
}

/** @see https://github.com/tc39/proposal-json-parse-with-source */
function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value))
    return value;
  return /^-?\d+$/.test(source) && isLong(source) ? { $numberLong: source } : value;
}

/**
 * Turns parsed JSON, relaxed or canonical Extended JSON, into the value that is stored. What is no Extended JSON type but
 * has a name that begins with `$` is refused: MongoDB gives such names meanings of its own.
 *
 * @param path - of the value, as a JSON Pointer, for errors
 * @throws InvalidExtendedJsonError
 * @see https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
 */
export function bsonOf(value: unknown, path: string, depth = 0): unknown {
  if (depth > MAX_DEPTH) throw refused(path, `is nested more than ${MAX_DEPTH} levels deep`);
  switch (typeof value) {
    case 'number':
      return numberOf(value);
    case 'string':
      if (!value.isWellFormed())
        throw refused(path, 'holds a lone surrogate, which is not valid Unicode text');
      return value;
    case 'object':
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (Array.isArray(value))
    return value.map((item, at) => bsonOf(item, `${path}/${at}`, depth + 1));
  const typed = typedValue(value as Record<string, unknown>, path);
  if (typed !== undefined) return typed;
  const result: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    // A path is made only where it may be needed: most fields are neither wrong nor deep.
    if (!isPlainName(name)) assertName(name, pointer(path, name));
    result[name] = isPlainScalar(item) ? item : bsonOf(item, pointer(path, name), depth + 1);
  }
  return result;
}

/** Whether it is certain that {@link assertName} has nothing against a name. */
function isPlainName(name: string): boolean {
  return /^[A-Za-z][\w-]*$/.test(name);
}

/** Whether it is certain that a value is stored as it is. */
function isPlainScalar(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  // Of anything but a number this would ask for its text, however deep, and call what it names `valueOf`.
  if (typeof value === 'number') return value === (value | 0);
  return typeof value === 'boolean' || value === null;
}

/** The value of an object that stands for a type of BSON, or undefined when it is an ordinary object. */
export function typedValue(value: Record<string, unknown>, path: string): unknown {
  const names = Object.keys(value);
  const name = names.find((one) => one.startsWith('$') && Object.hasOwn(TYPES, one));
  if (name === undefined) return undefined;
  const make = TYPES[name];
  const found = make?.(value, names, path);
  if (found === undefined) throw refused(path, `is not a valid ${name}`);
  return found;
}

/** Whether an object stands for a type of BSON, well formed or not. */
export function isTyped(value: object): boolean {
  return Object.keys(value).some((name) => Object.hasOwn(TYPES, name));
}

type Make = (value: Record<string, unknown>, names: readonly string[], path: string) => unknown;

/** A type that is written as one name with one text. */
function ofText(
  name: string,
  isValid: (text: string) => boolean,
  make: (text: string) => unknown,
): Make {
  return (value, names) => {
    const text = value[name];
    return names.length === 1 && typeof text === 'string' && isValid(text) ? make(text) : undefined;
  };
}

const TYPES: Readonly<Record<string, Make>> = {
  $oid: ofText('$oid', (text) => /^[0-9a-f]{24}$/i.test(text), ObjectId.createFromHexString),
  $numberInt: ofText(
    '$numberInt',
    (text) => /^-?\d{1,10}$/.test(text) && Number(text) === (Number(text) | 0),
    (text) => new Int32(Number(text)),
  ),
  $numberLong: ofText('$numberLong', isLong, (text) => Long.fromString(text)),
  $numberDouble: ofText('$numberDouble', isDouble, (text) => new Double(Number(text))),
  $numberDecimal: ofText('$numberDecimal', isDecimal, (text) => Decimal128.fromString(text)),
  $uuid: ofText(
    '$uuid',
    (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text),
    (text) => new BSON.UUID(text).toBinary(),
  ),
  $symbol: ofText(
    '$symbol',
    (text) => text.isWellFormed(),
    (text) => new BSON.BSONSymbol(text),
  ),
  $date: (value, names) => (names.length === 1 ? dateOf(value.$date) : undefined),
  $binary: (value, names) => (names.length === 1 ? binaryOf(value.$binary) : undefined),
  $timestamp: (value, names) => (names.length === 1 ? timestampOf(value.$timestamp) : undefined),
  $regularExpression: (value, names) =>
    names.length === 1 ? regularExpressionOf(value.$regularExpression) : undefined,
  $minKey: (value, names) => (names.length === 1 && value.$minKey === 1 ? new MinKey() : undefined),
  $maxKey: (value, names) => (names.length === 1 && value.$maxKey === 1 ? new MaxKey() : undefined),
  $undefined: (value, names) =>
    names.length === 1 && value.$undefined === true ? null : undefined,
  $code: (value, names) =>
    names.length === 1 && typeof value.$code === 'string' ? new BSON.Code(value.$code) : undefined,
  $ref: referenceOf,
};

function dateOf(value: unknown): Date | undefined {
  if (typeof value === 'string') {
    // RFC 3339, as the specification wants it; JavaScript would take much more.
    const isDate = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)$/.test(value);
    const date = new Date(value);
    return isDate && !Number.isNaN(date.getTime()) ? date : undefined;
  }
  const { $numberLong: text } = (value ?? {}) as { $numberLong?: unknown };
  if (typeof text !== 'string' || !isLong(text)) return undefined;
  const date = new Date(Number(text));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function binaryOf(value: unknown): Binary | undefined {
  const { base64, subType, ...rest } = (value ?? {}) as Record<string, unknown>;
  if (typeof base64 !== 'string' || typeof subType !== 'string' || hasMore(rest)) return undefined;
  if (!/^[0-9a-f]{1,2}$/i.test(subType) || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  return new Binary(Buffer.from(base64, 'base64'), Number.parseInt(subType, 16));
}

function timestampOf(value: unknown): Timestamp | undefined {
  const { t, i, ...rest } = (value ?? {}) as Record<string, unknown>;
  return isUint32(t) && isUint32(i) && !hasMore(rest) ? new Timestamp({ t, i }) : undefined;
}

function regularExpressionOf(value: unknown) {
  const { pattern, options, ...rest } = (value ?? {}) as Record<string, unknown>;
  if (typeof pattern !== 'string' || typeof options !== 'string' || hasMore(rest)) return undefined;
  if (pattern.includes('\0') || !pattern.isWellFormed() || !/^[ilmsux]*$/.test(options))
    return undefined;
  return new BSONRegExp(pattern, options);
}

/** A DBRef is an ordinary document for MongoDB, whose names begin with `$`. */
function referenceOf(
  value: Record<string, unknown>,
  names: readonly string[],
  path: string,
): unknown {
  const { $ref: collection, $id: id, $db: database } = value;
  if (typeof collection !== 'string' || !collection.isWellFormed() || collection.includes('\0'))
    return undefined;
  if (id === undefined || !['string', 'undefined'].includes(typeof database)) return undefined;
  if (names.some((name) => !['$ref', '$id', '$db'].includes(name))) return undefined;
  const $id = bsonOf(id, `${path}/$id`);
  return { $ref: collection, $id, ...(database !== undefined && { $db: database }) };
}

function numberOf(value: number): number | Long {
  // The driver stores whole numbers beyond 32 bits as doubles.
  const isWide = Number.isSafeInteger(value) && value !== (value | 0);
  return isWide ? Long.fromNumber(value) : value;
}

function isLong(text: string): boolean {
  return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}

function isDouble(text: string): boolean {
  return /^(-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|-?Infinity|NaN)$/.test(text);
}

function isDecimal(text: string): boolean {
  try {
    Decimal128.fromString(text);
    return true;
  } catch {
    return false;
  }
}

function isUint32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}

function hasMore(rest: object): boolean {
  return Object.keys(rest).length > 0;
}

/** @throws InvalidExtendedJsonError unless a field may have this name */
export function assertName(name: string, path: string): void {
  if (name.startsWith('$'))
    throw refused(path, 'has a name that begins with $ and is no Extended JSON type');
  if (name.includes('\0') || !name.isWellFormed())
    throw refused(path, 'has a name with NUL or a lone surrogate');
  // By this name the driver takes an object for one of its own classes.
  if (name === '_bsontype' || name === '__proto__')
    throw refused(path, 'is a name that cannot be stored');
}

const PLAIN_NAME = /^\w*$/;

/** RFC 6901: `~` and `/` inside a name are escaped. */
export function pointer(parent: string, name: string): string {
  // Nearly all names are plain, and long imports ask this of every field.
  if (PLAIN_NAME.test(name)) return `${parent}/${name}`;
  return `${parent}/${name.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function refused(path: string, message: string): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path, message });
}

/**
 * Turns a stored value, read with {@link EXACT_TYPES}, into what `JSON.stringify` makes Extended JSON of. In relaxed mode a
 * 64-bit number that JavaScript could not hold stays `{"$numberLong": …}`, which the driver's own function rounds.
 */
export function jsonOf(value: unknown, mode: ExtendedJsonMode): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (value === undefined) return { $undefined: true };
  if (Array.isArray(value)) return value.map((item) => jsonOf(item, mode));
  if (value instanceof Date && mode === 'relaxed') return relaxedDate(value);
  // In nearly every record, and many times as fast as the driver's own function.
  if (value instanceof ObjectId) return { $oid: value.toHexString() };
  const tag = typeof value === 'object' ? (value as { _bsontype?: unknown })._bsontype : 'number';
  if (tag === undefined && !(value instanceof Date) && !(value instanceof RegExp))
    return plain(value as object, mode);
  if (mode === 'relaxed') {
    const number = relaxedNumber(value);
    if (number !== undefined) return number;
  }
  return EJSON.serialize({ value }, { relaxed: false }).value;
}

function plain(value: object, mode: ExtendedJsonMode): object {
  const result: Record<string, unknown> = {};
  for (const [name, item] of value instanceof Map ? value : Object.entries(value)) {
    const json = jsonOf(item, mode);
    // By assignment this one would become the prototype.
    if (name === '__proto__')
      Object.defineProperty(result, name, { value: json, enumerable: true });
    else result[name] = json;
  }
  return result;
}

function relaxedDate(value: Date): unknown {
  const milliseconds = value.getTime();
  const inRange = milliseconds >= 0 && milliseconds < 253_402_300_800_000;
  return { $date: inRange ? value.toISOString() : { $numberLong: String(milliseconds) } };
}

function relaxedNumber(value: unknown): number | undefined {
  if (
    typeof value === 'object' &&
    !(value instanceof Int32 || value instanceof Double || value instanceof Long)
  )
    return undefined;
  // To the driver a kind of Long.
  if (value instanceof Timestamp) return undefined;
  const number = Number(value);
  if (value instanceof Long) return Number.isSafeInteger(number) ? number : undefined;
  return Number.isFinite(number) && !Object.is(number, -0) ? number : undefined;
}
