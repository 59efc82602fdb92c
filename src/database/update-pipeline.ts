import type { Document } from 'mongodb';

/**
 * Values for an update pipeline, which would read a text that begins with `$` as a field's name.
 *
 * @see https://www.mongodb.com/docs/manual/reference/operator/aggregation/literal/
 */
export function literal(fields: object): Document {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, { $literal: value }]),
  );
}
