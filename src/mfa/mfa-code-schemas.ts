import { Type } from 'typebox';

/** A code where one is due. */
export const MfaCodeString = Type.String({
  maxLength: 64,
  description:
    'The six digits of an authenticator app, or a recovery code. Each works once. Case, spaces and dashes do not matter.',
  examples: ['123456'],
});

/** A code where the account decides whether one is due. */
export const OptionalMfaCode = Type.String({
  maxLength: 64,
  description:
    'The six digits of an authenticator app, or a recovery code. Each works once. Means nothing for an account without a ' +
    'second factor.',
  examples: ['123456'],
});
