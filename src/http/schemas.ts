import { Type } from 'typebox';

/** A MongoDB ObjectId, as every id is shown and taken. */
export const ObjectIdString = Type.String({
  pattern: '^[0-9a-f]{24}$',
  description: 'A MongoDB ObjectId.',
  examples: ['66f1c0ffee0ddba11ca75a1e'],
});

export const Timestamp = Type.String({
  format: 'date-time',
  description: 'RFC 3339, UTC, with milliseconds.',
  examples: ['2026-11-23T09:30:00.000Z'],
});

export const Email = Type.String({
  format: 'email',
  maxLength: 254,
  description: 'Compared without regard to case.',
  examples: ['ada@acme.example'],
});

/** A text or null. Not a union, whose faults are told three times over. */
export function nullableString(options: {
  description?: string;
  minLength?: number;
  maxLength?: number;
  examples: (string | null)[];
}) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], ...options });
}
