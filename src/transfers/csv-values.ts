import { Decimal128, Double, Int32 } from 'mongodb';
import { bsonOf, InvalidExtendedJsonError, parseExactJson } from '../records/extended-json.ts';
import { BSON_TYPE, type Element } from './bson-reader.ts';

/** How the types of cells are found: each by what it looks like, all texts, or by what the header says of their column. */
export type CellTyping = 'auto' | 'text' | 'header';

/** @returns the value of a cell, or undefined when it is none of this type */
export type ReadCell = (text: string) => unknown;

/** The types that a header can name, as in `age.int32()`: mostly those of `mongoimport --columnsHaveTypes`. */
export const CELL_TYPES: Readonly<Record<string, ReadCell>> = {
  auto: looksLike,
  string: (text) => text,
  boolean: (text) => ({ true: true, false: false })[text.toLowerCase()],
  date: (text) => dateOf(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text),
  decimal: (text) => typed('$numberDecimal', text),
  double: (text) => (NUMBER.test(text) ? new Double(Number(text)) : typed('$numberDouble', text)),
  int32: (text) => typed('$numberInt', text),
  int64: (text) => typed('$numberLong', text),
  objectid: (text) => typed('$oid', text),
  json: jsonOfCell,
};

/** Without leading zeros, which article numbers and postal codes have. */
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?(e[+-]\d+)?$/;
/** More digits than a double holds. */
const MAX_DIGITS = 17;
/** The years that RFC 3339 can write. */
const MIN_ISO_MS = -62_167_219_200_000;
const MAX_ISO_MS = 253_402_300_800_000;

/**
 * What a cell looks like: a number, `true` or `false`, a date and time with its offset, an array or object as Extended JSON;
 * anything else is a text. What would not keep all its digits as a number stays a text as well.
 */
export function looksLike(text: string): unknown {
  const first = text.charCodeAt(0);
  const isNumeric = first === 0x2d || (first >= 0x30 && first <= 0x39);
  if (isNumeric) return numberOf(text) ?? dateOf(text) ?? text;
  if (text === 'true' || text === 'false') return text === 'true';
  return text.startsWith('{') || text.startsWith('[') ? (jsonOfCell(text) ?? text) : text;
}

function numberOf(text: string): unknown {
  if (!NUMBER.test(text)) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && /^-?\d+$/.test(text)) {
    if (number === (number | 0)) return new Int32(number);
    return typed('$numberLong', text);
  }
  const digits = text.replace(/e.*$/, '').replaceAll(/\D/g, '').replace(/^0+/, '');
  return Number.isFinite(number) && digits.length <= MAX_DIGITS ? new Double(number) : undefined;
}

function dateOf(text: string): unknown {
  return typed('$date', text);
}

function jsonOfCell(text: string): unknown {
  try {
    return bsonOf(parseExactJson(text), '');
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof InvalidExtendedJsonError) return undefined;
    throw error;
  }
}

/** @returns what the Extended JSON of this name and text stands for, or undefined */
function typed(name: string, text: string): unknown {
  try {
    return bsonOf({ [name]: text }, '');
  } catch (error) {
    if (error instanceof InvalidExtendedJsonError) return undefined;
    throw error;
  }
}

/**
 * The text of a cell with this value: for people and spreadsheets, and such that {@link looksLike} reads most of it back.
 *
 * @returns undefined of types that have no text of their own
 */
export function scalarText(bytes: Buffer, { type, value, end }: Element): string | undefined {
  switch (type) {
    case BSON_TYPE.string:
    case BSON_TYPE.symbol:
      return bytes.toString('utf8', value + 4, end - 1);
    case BSON_TYPE.int:
      return String(bytes.readInt32LE(value));
    case BSON_TYPE.double:
      return String(bytes.readDoubleLE(value));
    case BSON_TYPE.long:
      return String(bytes.readBigInt64LE(value));
    case BSON_TYPE.decimal:
      return new Decimal128(bytes.subarray(value, end)).toString();
    case BSON_TYPE.boolean:
      return bytes[value] === 0 ? 'false' : 'true';
    case BSON_TYPE.objectId:
      return bytes.toString('hex', value, end);
    case BSON_TYPE.date:
      return isoText(Number(bytes.readBigInt64LE(value)));
    case BSON_TYPE.null:
    case BSON_TYPE.undefined:
      return '';
    default:
      return undefined;
  }
}

function isoText(milliseconds: number): string | undefined {
  const inRange = milliseconds >= MIN_ISO_MS && milliseconds < MAX_ISO_MS;
  return inRange ? new Date(milliseconds).toISOString() : undefined;
}
