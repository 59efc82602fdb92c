import { Type } from 'typebox';
import { MAX_COLUMNS } from './csv-reader.ts';

const Formulas = Type.Optional(
  Type.Enum(['escape', 'plain'], {
    default: 'escape',
    description:
      'CSV only. `escape`: a text that a spreadsheet would run as a formula has an apostrophe before it, which an export ' +
      'adds and an import takes away. `plain`: texts are as they are.',
    examples: ['escape'],
  }),
);

export const ImportQuery = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(['insert', 'upsert', 'replace'], {
        default: 'insert',
        description:
          'What becomes of records by their `_id`: `insert` takes new ones only, `replace` those that exist, `upsert` both.',
        examples: ['upsert'],
      }),
    ),
    format: Type.Optional(
      Type.Enum(['ndjson', 'csv'], {
        description: 'By default what Content-Type says; needed for `application/octet-stream`.',
        examples: ['ndjson'],
      }),
    ),
    types: Type.Optional(
      Type.Enum(['auto', 'text', 'header'], {
        default: 'auto',
        description:
          'CSV only. `auto`: a cell is what it looks like. `text`: all are texts. `header`: the header says it, as in ' +
          '`age.int32()`.',
        examples: ['auto'],
      }),
    ),
    formulas: Formulas,
  },
  { additionalProperties: false },
);

export const ExportQuery = Type.Object(
  {
    format: Type.Optional(
      Type.Enum(['ndjson', 'csv', 'mongodump'], {
        default: 'ndjson',
        description:
          '`ndjson`: one document of Extended JSON a line. `csv`: RFC 4180, for people and spreadsheets. `mongodump`: a tar ' +
          'with what `mongodump` would have made, for `mongorestore`.',
        examples: ['ndjson'],
      }),
    ),
    filter: Type.Optional(
      Type.String({
        description: 'A filter as MongoDB takes it, as Extended JSON. By default everything.',
        examples: ['{"status":"open"}'],
      }),
    ),
    fields: Type.Optional(
      Type.String({
        description:
          `Paths of fields, separated by commas; in a CSV also the columns and their order. By default all, in a CSV up to ${MAX_COLUMNS}. ` +
          'Not for `mongodump`.',
        examples: ['name,address.city'],
      }),
    ),
    extended_json: Type.Optional(
      Type.Enum(['relaxed', 'canonical'], {
        default: 'relaxed',
        description:
          'NDJSON only. `relaxed` is easier to read; `canonical` keeps every type, 32-bit and 64-bit numbers for example.',
        examples: ['relaxed'],
      }),
    ),
    formulas: Formulas,
  },
  { additionalProperties: false },
);

const Count = (description: string, example: number) =>
  Type.Integer({ minimum: 0, description, examples: [example] });

export const ImportReport = Type.Object(
  {
    lines: Count('Lines read, blank ones and the header of a CSV among them.', 1_201),
    bytes: Count('Bytes of the body read.', 204_800),
    inserted: Count('Records that are new.', 1_150),
    replaced: Count('Records that were there before, and are now as they were sent.', 48),
    failed: Count('Records that were not stored.', 2),
    errors: Type.Array(
      Type.Object({
        line: Type.Integer({
          minimum: 1,
          description: 'Where the record begins, counted from 1.',
          examples: [17],
        }),
        code: Type.String({
          description: 'As in a problem.',
          examples: ['record_exists'],
        }),
        message: Type.String({ examples: ['_id: belongs to a record that exists'] }),
        errors: Type.Optional(
          Type.Array(
            Type.Object({
              path: Type.String({
                description: 'The field, as a JSON Pointer (RFC 6901).',
                examples: ['/_id'],
              }),
              message: Type.String({ examples: ['belongs to a record that exists'] }),
            }),
          ),
        ),
      }),
      { description: 'Why records were not stored, in the order of the lines; 1,000 at most.' },
    ),
    errors_truncated: Type.Boolean({
      description: 'Whether more failed than `errors` tells of.',
      examples: [false],
    }),
  },
  { description: 'What an import did.' },
);

/** Answers that are streams: what their lines look like. */
export const STREAMED = {
  progress: {
    type: 'string',
    description: 'Progress, then the report.',
    examples: [
      '{"progress":{"lines":1201,"bytes":204800,"inserted":1150,"replaced":48,"failed":2}}\n',
    ],
  },
  ndjson: { type: 'string', examples: ['{"_id":1,"name":"Ada"}\n'] },
  csv: { type: 'string', examples: ['_id,name\r\n1,Ada\r\n'] },
  tar: { type: 'string', format: 'binary', examples: ['dump/organization_master/org_acme.bson …'] },
  disposition: {
    type: 'string',
    description: "`attachment`, with a file name of the organization's and the date.",
    examples: [
      `attachment; filename="acme-2026-11-24.ndjson"; filename*=UTF-8''acme-2026-11-24.ndjson`,
    ],
  },
} as const;
