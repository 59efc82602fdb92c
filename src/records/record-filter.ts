import { BSON, type Document } from 'mongodb';
import { AppError } from '../errors.ts';
import { bsonOf, InvalidExtendedJsonError, isTyped, pointer } from './extended-json.ts';

/** Filters nested deeper, or with more conditions, are refused. */
const MAX_FILTER_DEPTH = 20;
const MAX_CONDITIONS = 500;
const MAX_LIST = 1_000;
const MAX_PATTERN = 256;

/** An operator that is not on the list, or not where it stands. */
export class UnsupportedOperatorError extends AppError {
  constructor(operator: string, path: string) {
    const message = `${operator} is not an operator that can be used here`;
    super('invalid', 'unsupported_operator', message, { errors: [{ path, message }] });
  }
}

/** Where one is in a filter, and how much of it there has been. */
interface Place {
  path: string;
  depth: number;
  budget: { conditions: number };
}

/**
 * Turns a filter as it came, parsed JSON, into one for MongoDB. Only operators on the list get through; they compare
 * fields with values, and reach nothing else: no code, no expressions, no other collection.
 *
 * @param path - of the filter, as a JSON Pointer, for errors
 * @throws UnsupportedOperatorError, InvalidExtendedJsonError
 * @see https://www.mongodb.com/docs/manual/reference/operator/query/
 */
export function filterOf(filter: unknown, path: string): Document {
  return conditions(filter, { path, depth: 0, budget: { conditions: 0 } });
}

function conditions(filter: unknown, place: Place): Document {
  if (!isPlainObject(filter)) throw refused(place.path, 'must be an object');
  return Object.fromEntries(
    Object.entries(filter).map(([name, value]) => {
      const at = inside(place, name);
      if (LOGICAL.has(name))
        return [
          name,
          listOf(value, at).map((one, index) => conditions(one, inside(at, String(index)))),
        ];
      if (name.startsWith('$')) throw new UnsupportedOperatorError(name, at.path);
      assertFieldPath(name, at.path);
      return [name, condition(value, at)];
    }),
  );
}

/** What one field is compared with: a value, or operators. */
function condition(value: unknown, place: Place): unknown {
  return isOperators(value) ? operators(value, place) : operandOf(value, place.path);
}

/** @throws InvalidExtendedJsonError for what is no value, or a pattern that is too long */
function operandOf(value: unknown, path: string): unknown {
  const operand = bsonOf(value, path);
  if (operand instanceof BSON.BSONRegExp && operand.pattern.length > MAX_PATTERN)
    throw refused(path, `must be a pattern of at most ${MAX_PATTERN} characters`);
  return operand;
}

function operators(value: Record<string, unknown>, place: Place): Document {
  const names = Object.keys(value);
  if (names.includes('$options') && !names.includes('$regex'))
    throw refused(place.path, '$options needs $regex');
  return Object.fromEntries(
    Object.entries(value).map(([name, operand]) => {
      const at = inside(place, name);
      const read = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
      if (read === undefined) throw new UnsupportedOperatorError(name, at.path);
      return [name, read(operand, at)];
    }),
  );
}

const LOGICAL = new Set(['$and', '$or', '$nor']);

type Read = (operand: unknown, place: Place) => unknown;

const value: Read = (operand, { path }) => operandOf(operand, path);
const values: Read = (operand, place) =>
  listOf(operand, place).map((one, at) => operandOf(one, `${place.path}/${at}`));
const bits: Read = (operand, place) =>
  Array.isArray(operand) || typeof operand === 'number' || isPlainObject(operand)
    ? bsonOf(operand, place.path)
    : fail(place, 'must be a number, a list of positions, or binary data');

const OPERATORS: Readonly<Record<string, Read>> = {
  ...Object.fromEntries(['$eq', '$ne', '$gt', '$gte', '$lt', '$lte'].map((name) => [name, value])),
  ...Object.fromEntries(['$in', '$nin'].map((name) => [name, values])),
  ...Object.fromEntries(
    ['$bitsAllSet', '$bitsAnySet', '$bitsAllClear', '$bitsAnyClear'].map((name) => [name, bits]),
  ),
  $all: (operand, place) =>
    listOf(operand, place).map((one, at) => condition(one, inside(place, String(at)))),
  $exists: (operand, place) =>
    typeof operand === 'boolean' ? operand : fail(place, 'must be true or false'),
  $type: (operand, place) =>
    [operand].flat().every((one) => typeof one === 'string' || typeof one === 'number')
      ? operand
      : fail(place, 'must be the name or number of a type, or a list of them'),
  $size: (operand, place) =>
    Number.isInteger(operand) && Number(operand) >= 0
      ? operand
      : fail(place, 'must be a whole number'),
  $mod: (operand, place) =>
    Array.isArray(operand) &&
    operand.length === 2 &&
    operand.every(Number.isFinite) &&
    Math.trunc(operand[0]) !== 0
      ? operand
      : fail(place, 'must be a divisor other than 0 and a remainder'),
  $regex: (operand, place) => patternOf(operand, place),
  $options: (operand, place) =>
    typeof operand === 'string' && /^[imsx]*$/.test(operand)
      ? operand
      : fail(place, 'may hold i, m, s and x'),
  $not: (operand, place) =>
    isOperators(operand)
      ? operators(operand, place)
      : fail(place, 'must be an object of operators'),
  $elemMatch: (operand, place) =>
    isOperators(operand) && !Object.keys(operand).some((name) => LOGICAL.has(name))
      ? operators(operand, place)
      : conditions(operand, place),
  $geoWithin: (operand, place) =>
    shapeOf(operand, place, ['$geometry', '$box', '$center', '$centerSphere', '$polygon']),
  $geoIntersects: (operand, place) => shapeOf(operand, place, ['$geometry']),
};

/** The names of all operators that filters may use. */
export const FILTER_OPERATORS: readonly string[] = [...LOGICAL, ...Object.keys(OPERATORS)];

function patternOf(operand: unknown, place: Place): string {
  if (typeof operand !== 'string' || !operand.isWellFormed() || operand.includes('\0'))
    return fail(place, 'must be a pattern');
  if (operand.length > MAX_PATTERN)
    return fail(place, `must have at most ${MAX_PATTERN} characters`);
  return operand;
}

function shapeOf(operand: unknown, place: Place, shapes: readonly string[]): Document {
  if (!isPlainObject(operand)) return fail(place, 'must be an object');
  const [name, ...more] = Object.keys(operand);
  if (name === undefined || more.length > 0 || !shapes.includes(name))
    return fail(place, `must hold one of ${shapes.join(', ')}`);
  return { [name]: bsonOf(operand[name], inside(place, name).path) };
}

function listOf(operand: unknown, place: Place): unknown[] {
  if (!Array.isArray(operand)) return fail(place, 'must be a list');
  const needsOne = LOGICAL.has(place.path.slice(place.path.lastIndexOf('/') + 1));
  if (needsOne && operand.length === 0) return fail(place, 'must hold at least one filter');
  if (operand.length > MAX_LIST) return fail(place, `must have at most ${MAX_LIST} items`);
  return operand;
}

function inside({ path, depth, budget }: Place, name: string): Place {
  const at = pointer(path, name);
  budget.conditions += 1;
  if (depth >= MAX_FILTER_DEPTH)
    throw refused(at, `is nested more than ${MAX_FILTER_DEPTH} levels deep`);
  if (budget.conditions > MAX_CONDITIONS)
    throw refused(at, `is beyond the ${MAX_CONDITIONS} conditions of a filter`);
  return { path: at, depth: depth + 1, budget };
}

/** Operators, rather than a value of some type or a document to be equal to. */
function isOperators(value: unknown): value is Record<string, unknown> {
  return (
    isPlainObject(value) &&
    !isTyped(value) &&
    Object.keys(value).some((name) => name.startsWith('$'))
  );
}

/** @throws InvalidExtendedJsonError unless it is the path of a field, in MongoDB's dotted form */
export function assertFieldPath(name: string, path: string): void {
  // By the last one the driver takes an object for one of its own classes.
  if (name.includes('\0') || !name.isWellFormed() || name === '_bsontype')
    throw refused(path, 'is no name of a field');
  const segments = name.split('.');
  if (
    segments.some((segment) => segment.startsWith('$') && !['$ref', '$id', '$db'].includes(segment))
  )
    throw refused(path, 'is no name of a field: it begins with $');
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(path: string, message: string): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path, message });
}

function fail(place: Place, message: string): never {
  throw refused(place.path, message);
}
