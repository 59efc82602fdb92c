import { ObjectId } from 'mongodb';
import { AppError } from '../errors.ts';
import type { OrganizationSort, SortValue } from '../registry/organization-list-store.ts';

/** Where a page of a sorted list ended. */
export interface SortedPosition {
  value: SortValue;
  id: ObjectId;
}

/** The kind of value that each sort compares. */
const KINDS: Record<OrganizationSort, 'text' | 'number' | 'date'> = {
  name: 'text',
  created_at: 'date',
  size: 'number',
  last_activity: 'date',
};
/** The last day that a `Date` can hold, in milliseconds. */
const LAST_DATE_MS = 8.64e15;

/** @param order - of the list, for a cursor means nothing in a list of another order */
export function cursorOf(order: string, { value, id }: SortedPosition): string {
  const plain = value instanceof Date ? value.getTime() : value;
  return Buffer.from(JSON.stringify([order, plain, id.toHexString()])).toString('base64url');
}

/** @throws AppError `invalid_cursor` for a cursor that no list of this order gave */
export function positionOf(cursor: string, order: string, sort: OrganizationSort): SortedPosition {
  const [of, plain, hex, ...rest] = arrayIn(cursor);
  const isId = typeof hex === 'string' && /^[0-9a-f]{24}$/.test(hex);
  const value = comparedValue(plain, KINDS[sort]);
  if (of !== order || !isId || value === undefined || rest.length > 0) throw invalidCursor();
  return { value, id: ObjectId.createFromHexString(hex) };
}

function comparedValue(plain: unknown, kind: 'text' | 'number' | 'date'): SortValue | undefined {
  if (kind === 'text') return typeof plain === 'string' ? plain : undefined;
  if (typeof plain !== 'number' || !Number.isFinite(plain)) return undefined;
  if (kind === 'number') return plain;
  return Number.isInteger(plain) && Math.abs(plain) <= LAST_DATE_MS ? new Date(plain) : undefined;
}

function arrayIn(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function invalidCursor(): AppError {
  const message = 'must be the next_cursor of a list of the same sort';
  return new AppError('malformed', 'invalid_cursor', `after: ${message}`, {
    errors: [{ path: '/after', message }],
  });
}
