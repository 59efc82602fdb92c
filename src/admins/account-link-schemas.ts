import { Type } from 'typebox';
import { Email } from '../http/schemas.ts';
import { OneTimeToken } from '../one-time-tokens/one-time-token-schemas.ts';
import { NewPassword } from '../organizations/organization-schemas.ts';

export const ForgotBody = Type.Object({ email: Email }, { additionalProperties: false });

export const ResetBody = Type.Object(
  { token: OneTimeToken, password: NewPassword },
  { additionalProperties: false },
);

export const ConfirmBody = Type.Object({ token: OneTimeToken }, { additionalProperties: false });
