import { Type } from 'typebox';
import {
  CurrentPassword,
  Password,
  PersonNameInput,
  RefreshBody,
  TokenPair,
} from '../admins/admin-schemas.ts';
import { Email, nullableString, ObjectIdString, Timestamp } from '../http/schemas.ts';
import { MfaCodeString, OptionalMfaCode } from '../mfa/mfa-code-schemas.ts';
import { NewPassword } from '../organizations/organization-schemas.ts';

export const OperatorLoginBody = Type.Object(
  { email: Email, password: Password, code: Type.Optional(OptionalMfaCode) },
  { additionalProperties: false },
);

const OperatorName = nullableString({ examples: ['Grace Hopper', null] });

export const OperatorSignedIn = Type.Object(
  {
    ...TokenPair.properties,
    operator: Type.Object({ id: ObjectIdString, email: Email, name: OperatorName }),
  },
  { description: 'Signed in: tokens that open the operations of operators, and nothing else.' },
);

export const OperatorRefreshBody = RefreshBody;
export const OperatorTokenPair = TokenPair;

export const OperatorMe = Type.Object(
  {
    id: ObjectIdString,
    email: Email,
    name: OperatorName,
    created_at: Timestamp,
    mfa: Type.Object(
      {
        totp: Type.Boolean({ description: 'Whether signing in takes a code.', examples: [true] }),
        recovery_codes_left: Type.Integer({ minimum: 0, maximum: 10, examples: [10] }),
      },
      { description: 'Your second factor.' },
    ),
  },
  { description: 'The operator who is signed in.' },
);

export const OperatorMeBody = Type.Object(
  {
    name: Type.Optional(
      nullableString({
        ...PersonNameInput,
        description: 'Shown to other operators; null for none.',
      }),
    ),
    password: Type.Optional(NewPassword),
    current_password: Type.Optional(
      Type.String({ ...Password, description: 'Needed to change the password.' }),
    ),
    code: Type.Optional(OptionalMfaCode),
  },
  { additionalProperties: false, minProperties: 1 },
);

/** An operator's other sessions always end: who signed in without the factor must not stay. */
export const ConfirmOperatorTotpBody = Type.Object(
  {
    code: Type.String({
      maxLength: 64,
      description: 'The six digits that the app shows. Spaces and dashes do not matter.',
      examples: ['123456'],
    }),
  },
  { additionalProperties: false },
);

export const OperatorProofBody = Type.Object(
  { current_password: CurrentPassword, code: MfaCodeString },
  { additionalProperties: false },
);
