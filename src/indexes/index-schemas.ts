import { Type } from 'typebox';
import { Timestamp } from '../http/schemas.ts';
import { INDEX_NAME, type IndexOrder, MAX_FIELDS, ORDERS } from './index-definition.ts';

const Field = Type.String({
  minLength: 1,
  maxLength: 256,
  description: "A field, in MongoDB's dotted form.",
  examples: ['email'],
});

const NAME = {
  description: 'Unique in the organization.',
  examples: ['email_1'],
};

export const IndexParams = Type.Object({
  name: Type.String({ minLength: 1, ...NAME }),
});

export const IndexBody = Type.Object(
  {
    fields: Type.Array(
      Type.Object(
        {
          field: Field,
          order: Type.Optional(
            Type.Enum(Object.keys(ORDERS) as IndexOrder[], {
              description: 'By default `asc`.',
              examples: ['asc'],
            }),
          ),
        },
        { additionalProperties: false },
      ),
      {
        minItems: 1,
        maxItems: MAX_FIELDS,
        description: 'In the order that counts for a compound index.',
      },
    ),
    name: Type.Optional(
      Type.String({
        pattern: INDEX_NAME,
        ...NAME,
        description: "Not given: made of the fields, as MongoDB's own.",
      }),
    ),
    unique: Type.Optional(
      Type.Boolean({
        description:
          'No two records may have the same values. A record without the fields counts as having null.',
        examples: [true],
      }),
    ),
    sparse: Type.Optional(
      Type.Boolean({ description: 'Leaves records without the fields out.', examples: [false] }),
    ),
    expire_after_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2_147_483_647,
        description:
          'MongoDB deletes a record so many seconds after the date in the field, within about a minute.',
        examples: [86_400],
      }),
    ),
    partial_filter: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        additionalProperties: true,
        description:
          'Only records that match are in the index. Equality, `$exists: true`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$type`, ' +
          '`$and`, `$or`; values are Extended JSON.',
        examples: [{ state: 'open' }],
      }),
    ),
  },
  { additionalProperties: false },
);

export const Index = Type.Object(
  {
    name: Type.String(NAME),
    fields: Type.Array(
      Type.Object({
        field: Type.String({ examples: ['email'] }),
        order: Type.String({ examples: ['asc'] }),
      }),
    ),
    unique: Type.Boolean({ examples: [true] }),
    sparse: Type.Boolean({ examples: [false] }),
    expire_after_seconds: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      examples: [null],
    }),
    partial_filter: Type.Unsafe<Record<string, unknown> | null>({
      type: ['object', 'null'],
      additionalProperties: true,
      examples: [null],
    }),
    built_in: Type.Boolean({ description: 'The one on `_id`, which stays.', examples: [false] }),
    building: Type.Boolean({
      description: 'It is being built, and serves no queries yet.',
      examples: [false],
    }),
    bytes: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'On disk. Null when the index has only just been begun.',
      examples: [20_480],
    }),
    operations: Type.Integer({
      description: "How many operations have used it, on the database's node that answers.",
      examples: [42],
    }),
    operations_since: Type.Unsafe<string | null>({ ...Timestamp, type: ['string', 'null'] }),
  },
  { description: 'An index.' },
);

export const Indexes = Type.Object(
  { data: Type.Array(Index), next_cursor: Type.Null() },
  { description: 'The indexes, the oldest first: all of them.' },
);
