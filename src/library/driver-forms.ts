import {
  type Document,
  type IndexSpecification,
  MongoInvalidArgumentError,
  type Sort,
  type SortDirection,
} from 'mongodb';
import { UnsupportedOptionError } from './library-errors.ts';

const DIRECTIONS: Readonly<Record<string, 1 | -1>> = {
  '1': 1,
  '-1': -1,
  asc: 1,
  ascending: 1,
  desc: -1,
  descending: -1,
};
/** What stands behind a field in an index that is written as a pair. */
const INDEX_KINDS = ['2d', '2dsphere', 'text', 'geoHaystack'];

/**
 * A sort in any form that the driver takes, as the server takes it.
 *
 * @throws MongoInvalidArgumentError
 */
export function sortOf(sort: Sort | string, direction: SortDirection = 1): Map<string, unknown> {
  if (typeof sort === 'string') return new Map([[sort, directionOf(direction)]]);
  return new Map(pairsOf(sort).map(([field, value]) => [field, directionOf(value)]));
}

/** The keys of an index in any form that the driver takes, in their order. */
export function indexKeysOf(spec: IndexSpecification): Map<string, unknown> {
  const isPair =
    Array.isArray(spec) &&
    spec.length === 2 &&
    (typeof spec[1] === 'number' || INDEX_KINDS.includes(String(spec[1])));
  const parts: unknown[] = Array.isArray(spec) && !isPair ? spec : [spec];
  return new Map(
    parts.flatMap((part): [string, unknown][] => {
      if (typeof part === 'string') return [[part, 1]];
      if (Array.isArray(part)) return [[String(part[0]), part[1] ?? 1]];
      return part instanceof Map ? [...part] : Object.entries(part as object);
    }),
  );
}

/** The name that the driver, too, gives to an index without one: `a_1_b_-1`. */
export function indexNameOf(keys: ReadonlyMap<string, unknown>): string {
  return [...keys].flat().join('_');
}

/** Whether an update is made of operators, or a pipeline: the opposite of a replacement. */
export function hasOperators(update: unknown): boolean {
  if (Array.isArray(update)) return update.every(hasOperators);
  const [first] = Object.keys(update as object);
  return first?.startsWith('$') === true;
}

/** @throws MongoInvalidArgumentError with the driver's own words */
export function assertDocument(value: unknown, what: string): asserts value is Document {
  if (typeof value !== 'object' || value === null)
    throw new MongoInvalidArgumentError(`${what} must be a valid JavaScript object`);
}

/**
 * The options that are set, all of which are known. To ignore one silently would break what the caller relies on: that a
 * write takes place in a transaction, for example.
 *
 * @throws UnsupportedOptionError
 */
export function knownOptions(
  method: string,
  options: object,
  known: readonly string[],
): Record<string, unknown> {
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name] of set)
    if (!known.includes(name)) throw new UnsupportedOptionError(method, name);
  return Object.fromEntries(set);
}

function pairsOf(sort: Exclude<Sort, string>): [string, unknown][] {
  if (!Array.isArray(sort)) return sort instanceof Map ? [...sort] : Object.entries(sort);
  const [first, second] = sort as unknown[];
  if (Array.isArray(first)) return sort as unknown as [string, unknown][];
  const isPair = sort.length === 2 && typeof first === 'string' && isDirection(second);
  return isPair ? [[first, second]] : (sort as string[]).map((field) => [field, 1]);
}

function isDirection(value: unknown): boolean {
  return isMeta(value) || Object.hasOwn(DIRECTIONS, String(value).toLowerCase());
}

function directionOf(value: unknown): unknown {
  if (isMeta(value)) return value;
  const direction = DIRECTIONS[String(value).toLowerCase()];
  if (direction === undefined)
    throw new MongoInvalidArgumentError(`Invalid sort direction: ${JSON.stringify(value)}`);
  return direction;
}

/** `{ $meta: 'textScore' }` */
function isMeta(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '$meta' in value;
}
