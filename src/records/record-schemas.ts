import { Type } from 'typebox';
import { ONE_ENTITY_TAG } from './entity-tags.ts';

const ExtendedJson = Type.Enum(['relaxed', 'canonical'], {
  default: 'relaxed',
  description:
    'How types are written that JSON lacks. `relaxed`: numbers as numbers, and what JSON has no word for as in ' +
    '`{"$oid": …}`, `{"$date": …}`. `canonical`: with the type of every number.',
  examples: ['relaxed'],
});

// Texts of a URL have no length of their own here: what is too long for one is a 431, before any schema is looked at.
const Fields = Type.String({
  minLength: 1,
  description:
    'The fields to show (`name,address.city`), or to leave out (`-notes`). `_id` is shown unless `-_id` is there.',
  examples: ['name,address.city'],
});

const Limit = Type.Integer({
  ...{ minimum: 1, maximum: 200, default: 50 },
  description: 'How many at most. A page of more than 4 MiB ends earlier.',
  examples: [50],
});

const After = Type.String({
  minLength: 1,
  description: '`next_cursor` of the page before. The sort has to be the same.',
  examples: ['cVn1-Zk8EQAAABAwACoAAAAA'],
});

const FILTER =
  'A MongoDB filter, in Extended JSON. Operators: `$and`, `$or`, `$nor`, `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, ' +
  '`$in`, `$nin`, `$not`, `$exists`, `$type`, `$all`, `$elemMatch`, `$size`, `$regex`, `$mod`, `$bits…`, `$geoWithin`, ' +
  '`$geoIntersects`. All others are refused.';

const FilterText = Type.String({
  minLength: 1,
  description: FILTER,
  examples: ['{"age": {"$gte": 18}}'],
});

const SORT =
  'The order: fields with commas between them, `-` for falling (`-created_at,name`), or an object of 1 and -1. At most 8. ' +
  'Records that are equal in it are in the order of `_id`, in the direction of the last field. Values of different types are in MongoDB’s order of types.';

export const RecordQuerystring = Type.Object(
  {
    filter: Type.Optional(FilterText),
    sort: Type.Optional(Type.String({ description: SORT, examples: ['-created_at,name'] })),
    fields: Type.Optional(Fields),
    limit: Type.Optional(Limit),
    after: Type.Optional(After),
    extended_json: Type.Optional(ExtendedJson),
  },
  { additionalProperties: false },
);

export const RecordQueryBody = Type.Object(
  {
    filter: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        ...{ type: 'object', description: FILTER, examples: [{ age: { $gte: 18 } }] },
      }),
    ),
    sort: Type.Optional(
      // Of two types, of which a fault would be told three times over: what reads it says what it may be.
      Type.Unsafe<unknown>({
        description: SORT,
        examples: ['-created_at,name', { created_at: -1, name: 1 }],
      }),
    ),
    fields: Type.Optional(Fields),
    limit: Type.Optional(Limit),
    after: Type.Optional(After),
    extended_json: Type.Optional(ExtendedJson),
  },
  { additionalProperties: false },
);

export const CountQuerystring = Type.Object(
  { filter: Type.Optional(FilterText) },
  { additionalProperties: false },
);

export const RecordCount = Type.Object(
  { count: Type.Integer({ minimum: 0, examples: [42] }) },
  { description: 'How many records match.' },
);

export const RecordParams = Type.Object({
  id: Type.String({
    description:
      'The `_id`: 24 hexadecimal digits for an ObjectId, text for text, and Extended JSON for everything else ' +
      '(`{"$uuid": "…"}`; text that looks like one of these in quotes).',
    examples: ['66f1c0ffee0ddba11ca75a1e'],
  }),
});

export const ReadQuerystring = Type.Object(
  { fields: Type.Optional(Fields), extended_json: Type.Optional(ExtendedJson) },
  { additionalProperties: false },
);

export const WriteQuerystring = Type.Object(
  { extended_json: Type.Optional(ExtendedJson) },
  { additionalProperties: false },
);

const EXAMPLE = {
  _id: { $oid: '66f1c0ffee0ddba11ca75a1e' },
  name: 'Ada',
  born: { $date: '1815-12-10T00:00:00.000Z' },
};

/** Whatever the organization keeps. */
export const RecordBody = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  description: 'A record: any object, in Extended JSON, of at most 1 MiB and 64 levels.',
  examples: [EXAMPLE],
});

export const MergePatch = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  description: 'A JSON merge patch (RFC 7396): what is to be different; null removes a field.',
  examples: [{ name: 'Ada Lovelace', nickname: null }],
});

const Etag = Type.String({
  description: 'The version of the record: it changes whenever anything in the record does.',
  examples: ['"Xk3ZpW0c0m1hV5k2r7q8s9t0u1v"'],
});

/** The headers of an answer with one record. */
export const etagHeader = { ETag: Etag };

export const createdHeaders = {
  ETag: Etag,
  Location: Type.String({
    description: 'Where the record is.',
    examples: ['/org/records/66f1c0ffee0ddba11ca75a1e'],
  }),
};

export const StoredRecordBody = Type.Unsafe<Record<string, unknown>>({
  ...{ type: 'object', additionalProperties: true },
  description: 'The record.',
  examples: [EXAMPLE],
});

export const RecordList = Type.Object(
  {
    data: Type.Array(StoredRecordBody),
    next_cursor: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: 'For `after`; null on the last page.',
      examples: ['cVn1-Zk8EQAAABAwACoAAAAA', null],
    }),
  },
  { description: 'The records that match, in their order.' },
);

const IF_MATCH =
  'Entity tags (`ETag`), or `*` for any: the change takes place only if the record is still that version, else 412.';

export const ifMatchHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({ description: IF_MATCH, examples: ['"Xk3ZpW0c0m1hV5k2r7q8s9t0u1v"'] }),
  ),
});

export const replaceHeaders = Type.Object({
  ...ifMatchHeaders.properties,
  'if-none-match': Type.Optional(
    Type.String({
      description: '`*`: makes the record, and only if there is none with this id, else 412.',
      examples: ['*'],
    }),
  ),
});

export const readHeaders = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({
      description: 'Entity tags: 304 without a body if the record is still one of these versions.',
      examples: ['"Xk3ZpW0c0m1hV5k2r7q8s9t0u1v"'],
    }),
  ),
});

const BatchId = Type.Unsafe<unknown>({
  description:
    'The `_id`: text of 24 hexadecimal digits is an ObjectId, other text is text, and everything else Extended JSON.',
  examples: ['66f1c0ffee0ddba11ca75a1e', { $uuid: '0c2e8a1e-7f0b-4c0e-9a57-0a2d5a1d9f10' }],
});

export const BatchBody = Type.Object(
  {
    operations: Type.Array(
      Type.Object(
        {
          op: Type.Enum(['insert', 'replace', 'patch', 'delete', 'upsert'], {
            description:
              '`insert` takes `record`; `replace` and `upsert` take `id` and `record`; `patch` takes `id` and `patch`; ' +
              '`delete` takes `id`.',
          }),
          id: Type.Optional(BatchId),
          record: Type.Optional(RecordBody),
          patch: Type.Optional(MergePatch),
          if_match: Type.Optional(
            Type.String({
              pattern: ONE_ENTITY_TAG,
              description: 'For `replace`, `patch` and `delete`: one entity tag, or `*`.',
              examples: ['"Xk3ZpW0c0m1hV5k2r7q8s9t0u1v"'],
            }),
          ),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 1_000, description: 'What to do, in this order.' },
    ),
  },
  { additionalProperties: false },
);

const BatchError = Type.Object(
  {
    code: Type.String({ examples: ['record_exists'] }),
    detail: Type.String({ examples: ['_id: belongs to a record that exists'] }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({
            description: 'The field of the record, as a JSON Pointer.',
            examples: ['/_id'],
          }),
          message: Type.String({ examples: ['belongs to a record that exists'] }),
        }),
      ),
    ),
  },
  { description: 'Why it was not done: as in a problem.' },
);

export const BatchResults = Type.Object(
  {
    results: Type.Array(
      Type.Object({
        status: Type.Integer({
          description: 'As the same change by itself would have been answered with.',
          examples: [201],
        }),
        id: Type.Optional(BatchId),
        etag: Type.Optional(Etag),
        error: Type.Optional(BatchError),
      }),
      { description: 'One for each operation, in their order.' },
    ),
    succeeded: Type.Integer({ minimum: 0, examples: [1] }),
    failed: Type.Integer({ minimum: 0, examples: [0] }),
  },
  { description: 'What became of each.' },
);
