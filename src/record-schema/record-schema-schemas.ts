import { Type } from 'typebox';

const EXAMPLE = {
  required: ['email'],
  properties: {
    email: { bsonType: 'string', pattern: '^[^@ ]+@[^@ ]+$' },
    age: { bsonType: ['int', 'long'], minimum: 0 },
  },
};

export const RecordSchemaBody = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  additionalProperties: true,
  description:
    "JSON Schema as MongoDB's `$jsonSchema` takes it: draft 4 with `bsonType`, without `$ref`, `definitions`, `format`, " +
    '`default`, `id` and `$schema`. Whole numbers are `"bsonType": ["int", "long"]`. Values are Extended JSON. At most ' +
    '64 KiB, 20 schemas deep and 1,000 in all.',
  examples: [EXAMPLE],
});

export const RecordSchema = Type.Object(
  {
    schema: Type.Unsafe<Record<string, unknown> | null>({
      type: ['object', 'null'],
      additionalProperties: true,
      description: 'Null: records may hold anything.',
      examples: [EXAMPLE],
    }),
  },
  { description: 'The schema in force.' },
);

export const RecordSchemaQuery = Type.Object(
  {
    dry_run: Type.Optional(
      Type.Boolean({
        description: 'Only tell which records would break the schema.',
        examples: [true],
      }),
    ),
  },
  { additionalProperties: false },
);

export const DeclaredSchema = Type.Object(
  {
    schema: Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      additionalProperties: true,
      examples: [EXAMPLE],
    }),
    existing: Type.Object(
      {
        violating: Type.Integer({ description: 'How many there are.', examples: [1] }),
        exact: Type.Boolean({
          description: 'False: looking took longer than 5 s, and there are at least so many.',
          examples: [true],
        }),
        examples: Type.Array(
          Type.Object({
            id: Type.String({
              description: 'As in the path of a record.',
              examples: ['66f1c0ffee0ddba11ca75a1e'],
            }),
            errors: Type.Array(
              Type.Object({
                path: Type.String({
                  description: 'Inside lists, that of the list.',
                  examples: ['/email'],
                }),
                message: Type.String({ examples: ['is required'] }),
              }),
            ),
          }),
          { maxItems: 10, description: 'Ten of them at most.' },
        ),
      },
      { description: 'The records from before that break the schema. They stay as they are.' },
    ),
  },
  { description: 'The schema, and what breaks it.' },
);
