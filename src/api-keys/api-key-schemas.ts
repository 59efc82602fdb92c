import { Type } from 'typebox';
import { listOf } from '../http/pagination.ts';
import { ObjectIdString, Timestamp } from '../http/schemas.ts';
import { makerSchema } from '../members/maker-schemas.ts';
import { GRANTABLE_PERMISSIONS } from '../roles/permissions.ts';
import { MAX_NAME_LENGTH } from './api-key-service.ts';

export const ApiKeyParams = Type.Object({ id: ObjectIdString });

const Name = Type.String({
  minLength: 1,
  maxLength: MAX_NAME_LENGTH,
  description: 'For people: what the key is for. Trimmed; need not be unique.',
  examples: ['Billing sync'],
});

const Grants = Type.Array(Type.Enum([...GRANTABLE_PERMISSIONS]), {
  minItems: 1,
  maxItems: GRANTABLE_PERMISSIONS.length,
  description: 'What the key may do. You can only give what you have yourself.',
  examples: [['org:read', 'record:read']],
});

const END = 'When the key stops working; null: not before it is deleted.';

export const ApiKeyBody = Type.Object(
  {
    name: Name,
    permissions: Grants,
    expires_at: Type.Optional(
      Type.Unsafe<string | null>({
        type: ['string', 'null'],
        format: 'date-time',
        description: `${END} In the future, at most five years ahead. What a key makes ends with it at the latest.`,
        examples: ['2027-11-23T09:30:00.000Z', null],
      }),
    ),
  },
  { additionalProperties: false },
);

const fields = {
  id: ObjectIdString,
  name: Name,
  prefix: Type.String({
    description: 'How the key begins: what people know it by, and what can be looked for in logs.',
    examples: ['tnt_4fJx8QmZ2aLp'],
  }),
  permissions: Grants,
  created_at: Timestamp,
  created_by: makerSchema('Who made the key'),
  expires_at: nullableTimestamp(END),
  last_used_at: nullableTimestamp('To the minute; null before the first use.'),
};

export const ApiKey = Type.Object(fields, { description: 'An API key, without its secret.' });

export const ApiKeys = listOf(
  ApiKey,
  'API keys, oldest first. One that has expired is listed for 30 days more.',
);

export const CreatedApiKey = Type.Object(
  {
    ...fields,
    key: Type.String({
      description:
        'The key itself, for `Authorization: Bearer`. **Shown this once**: the service keeps only a hash of it. Scanners ' +
        'find leaked ones with `\\btnt_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}\\b`; the last 6 characters are the CRC-32 of what ' +
        'stands before them, in base62.',
      // Not one that works, nor one that a scanner takes for one: the checksum is wrong.
      examples: ['tnt_4fJx8QmZ2aLp_7hXc0Vq3tKz9RbYw1NsEuGd5MjPoLi8A000000'],
    }),
  },
  { description: 'The new API key, with its secret.' },
);

function nullableTimestamp(description: string) {
  return Type.Unsafe<string | null>({
    type: ['string', 'null'],
    format: 'date-time',
    description,
    examples: ['2026-11-23T09:30:00.000Z', null],
  });
}
