import { createHash } from 'node:crypto';
import type { Document } from 'mongodb';
import type { FieldError } from '../errors.ts';
import { assertFieldPath, filterOf } from '../records/record-filter.ts';
import { InvalidIndexError } from './index-errors.ts';

/** How a field is in an index, and what MongoDB calls it. */
export const ORDERS = {
  asc: 1,
  desc: -1,
  text: 'text',
  '2dsphere': '2dsphere',
  hashed: 'hashed',
} as const;
export type IndexOrder = keyof typeof ORDERS;

/** MongoDB's own limit. */
export const MAX_FIELDS = 32;
/** What can stand in a path as it is. */
export const INDEX_NAME = '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$';
/** The index on `_id`, which every collection has and keeps. */
export const ID_INDEX = '_id_';

/** An index as it is asked for. */
export interface IndexRequest {
  fields: readonly { field: string; order?: IndexOrder }[];
  name?: string;
  unique?: boolean;
  sparse?: boolean;
  expire_after_seconds?: number;
  /** A filter, as parsed JSON. */
  partial_filter?: unknown;
}

/** An index as MongoDB takes it. */
export interface IndexDefinition {
  name: string;
  /** A map, because objects put names that are numbers first, and the order of fields is what an index is about. */
  key: Map<string, string | number>;
  options: Document;
}

/**
 * Reads what is asked for.
 *
 * @throws InvalidIndexError, UnsupportedOperatorError, InvalidExtendedJsonError
 */
export function indexDefinition(request: IndexRequest): IndexDefinition {
  const errors = [...fieldFaults(request), ...optionFaults(request)];
  if (errors.length > 0) throw new InvalidIndexError(errors);
  const { fields, unique, sparse, expire_after_seconds, partial_filter } = request;
  const key = new Map(fields.map(({ field, order = 'asc' }) => [field, ORDERS[order]]));
  const options = {
    ...(unique === true && { unique }),
    ...(sparse === true && { sparse }),
    ...(expire_after_seconds !== undefined && { expireAfterSeconds: expire_after_seconds }),
    ...(partial_filter !== undefined && {
      partialFilterExpression: filterOf(partial_filter, '/partial_filter'),
    }),
  };
  return { name: request.name ?? nameOf(key), key, options };
}

function* fieldFaults({ fields }: IndexRequest): Generator<FieldError> {
  const seen = new Set<string>();
  for (const [at, { field }] of fields.entries()) {
    const path = `/fields/${at}/field`;
    assertFieldPath(field, path);
    if (field.split('.').includes('')) yield { path, message: 'has an empty part' };
    if (seen.has(field)) yield { path, message: 'is in the index already' };
    seen.add(field);
  }
  if (fields.length === 1 && fields[0]?.field === '_id')
    yield { path: '/fields/0/field', message: 'has an index already, which stays' };
}

function* optionFaults(request: IndexRequest): Generator<FieldError> {
  const { fields, name, unique, sparse, expire_after_seconds, partial_filter } = request;
  const special = fields.flatMap(({ order = 'asc' }) =>
    typeof ORDERS[order] === 'string' ? [order] : [],
  );
  if (name === ID_INDEX) yield { path: '/name', message: 'is the name of the index on _id' };
  // Several fields may be of one kind, but hashed.
  if (new Set(special).size > 1 || special.filter((one) => one === 'hashed').length > 1)
    yield { path: '/fields', message: 'cannot be of several kinds, nor hashed more than once' };
  if (unique === true && (special.includes('hashed') || special.includes('text')))
    yield { path: '/unique', message: 'is not for hashed and text indexes' };
  if (sparse === true && partial_filter !== undefined)
    yield { path: '/sparse', message: 'cannot be used together with partial_filter' };
  if (expire_after_seconds !== undefined && (fields.length > 1 || special.length > 0))
    yield { path: '/expire_after_seconds', message: 'needs an index on one field, asc or desc' };
}

/** As MongoDB names indexes, if that can stand in a path. */
function nameOf(key: ReadonlyMap<string, string | number>): string {
  const usual = [...key].flat().join('_');
  if (new RegExp(INDEX_NAME).test(usual)) return usual;
  return `index_${createHash('sha256').update(usual).digest('hex').slice(0, 16)}`;
}
