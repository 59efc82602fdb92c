import { Type } from 'typebox';
import { Timestamp } from '../http/schemas.ts';

function limit(of: string, example: number | null) {
  return Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    description: `The most ${of} there may be. Null: no limit.`,
    examples: [example],
  });
}

export const Usage = Type.Object(
  {
    records: Type.Integer({ examples: [1_204] }),
    bytes: Type.Integer({
      description: 'Of the records, as BSON and uncompressed.',
      examples: [312_446],
    }),
    storage_bytes: Type.Integer({
      description: 'Of the records on disk: compressed, with what is free for reuse.',
      examples: [118_784],
    }),
    indexes: Type.Integer({ description: 'With the one on `_id`.', examples: [2] }),
    index_bytes: Type.Integer({ description: 'Of all indexes on disk.', examples: [73_728] }),
    members: Type.Integer({ examples: [3] }),
    quota: Type.Object(
      {
        max_records: limit('records', 100_000),
        max_bytes: limit('bytes of records, as in `bytes`,', null),
        max_members: limit('members', 50),
      },
      { description: 'Past it, writing and joining answer 403 `quota_exceeded`.' },
    ),
    measured_at: Timestamp,
  },
  { description: 'What the organization uses, and may use.' },
);
