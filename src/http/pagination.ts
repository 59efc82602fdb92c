import { ObjectId } from 'mongodb';
import { type Static, type TSchema, Type } from 'typebox';
import { AppError } from '../errors.ts';

/** The query of every list. */
export const ListQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 200,
        default: 50,
        description: 'How many at most.',
        examples: [50],
      }),
    ),
    after: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        description: '`next_cursor` of the page before.',
        examples: ['avHA_-4N26Ecp1oe'],
      }),
    ),
  },
  { additionalProperties: false },
);

/** What was asked for: at most `limit` things, after the one with the id. */
export interface PageRequest {
  limit: number;
  after?: ObjectId;
}

/** One page of a list. `next` is the last id of it if there is more. */
export interface Page<T> {
  items: readonly T[];
  next: ObjectId | null;
}

/** The answer of every list. */
export function listOf<T extends TSchema>(item: T, description: string) {
  return Type.Object(
    {
      data: Type.Array(item),
      next_cursor: Type.Unsafe<string | null>({
        type: ['string', 'null'],
        description: 'For `after`; null on the last page.',
        examples: ['avHA_-4N26Ecp1oe', null],
      }),
    },
    { description },
  );
}

/** @throws AppError `invalid_cursor` for a cursor that no list gave */
export function pageRequestOf({ limit = 50, after }: Static<typeof ListQuery>): PageRequest {
  return after === undefined ? { limit } : { limit, after: idOfCursor(after) };
}

/** @param view - how one thing is shown */
export function listView<T, V>({ items, next }: Page<T>, view: (item: T) => V) {
  return { data: items.map(view), next_cursor: next && cursorOf(next) };
}

/** @param found - what a query found that was given `limit + 1` */
export function pageOf<T extends { _id: ObjectId }>(found: readonly T[], limit: number): Page<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next: found.length > limit && last !== undefined ? last._id : null };
}

function cursorOf(id: ObjectId): string {
  return Buffer.from(id.id).toString('base64url');
}

function idOfCursor(cursor: string): ObjectId {
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.length === 12 && bytes.toString('base64url') === cursor) return new ObjectId(bytes);
  const message = 'must be the next_cursor of a list';
  throw new AppError('malformed', 'invalid_cursor', `after: ${message}`, {
    errors: [{ path: '/after', message }],
  });
}
