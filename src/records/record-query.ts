import type { Document } from 'mongodb';
import { AppError } from '../errors.ts';
import { parseExactJson } from './extended-json.ts';
import { type Projection, projectionOf } from './projection.ts';
import { filterOf } from './record-filter.ts';
import { type SortOrder, sortOrderOf } from './sort-order.ts';
import { positionOf, type SortPosition } from './sort-position.ts';

/** What is asked of an organization's records. */
export interface RecordQuery {
  filter: Document;
  order: SortOrder;
  after?: SortPosition;
  projection?: Projection;
  limit: number;
}

/** A query as it came, from a URL or a body. */
export interface RawQuery {
  filter?: unknown;
  sort?: unknown;
  fields?: string;
  limit?: number;
  after?: string;
}

/**
 * @throws AppError `invalid_cursor`; UnsupportedOperatorError, InvalidExtendedJsonError that name the parameter at fault
 */
export function recordQueryOf({
  filter = {},
  sort,
  fields,
  limit = 50,
  after,
}: RawQuery): RecordQuery {
  const order = sortOrderOf(sort);
  return {
    ...{ filter: filterOf(filter, '/filter'), order, limit },
    ...(after !== undefined && { after: positionOf(order, after) }),
    ...(fields !== undefined && { projection: projectionOf(fields) }),
  };
}

/** Reads the parameters of a URL that may hold JSON. @throws AppError `invalid_querystring` */
export function withJson<T extends { filter?: string; sort?: string }>(
  query: T,
): Omit<T, 'filter' | 'sort'> & { filter?: unknown; sort?: unknown } {
  const { filter, sort, ...rest } = query;
  return {
    ...rest,
    ...(filter !== undefined && { filter: parsed(filter, '/filter') }),
    ...(sort !== undefined && { sort: sort.startsWith('{') ? parsed(sort, '/sort') : sort }),
  };
}

function parsed(text: string, path: string): unknown {
  try {
    return parseExactJson(text);
  } catch (cause) {
    const message = 'must be JSON';
    throw new AppError('malformed', 'invalid_querystring', `${path.slice(1)}: ${message}`, {
      ...{ cause, errors: [{ path, message }] },
    });
  }
}
