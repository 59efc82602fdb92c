import { Type } from 'typebox';

/** The header of routes that create something. */
export const idempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      description:
        'Makes repeating the request safe: the same key with the same body gives the first answer again ' +
        '(`Idempotent-Replayed: true`) for 24 hours. 1 to 255 visible ASCII characters.',
      examples: ['8f14e45f-ceea-467f-a8ef-2f0c1b0a9d11'],
    }),
  ),
});
