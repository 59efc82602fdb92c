import { Type } from 'typebox';
import { Password, PersonNameInput } from '../admins/admin-schemas.ts';
import { listOf } from '../http/pagination.ts';
import { Email, nullableString, ObjectIdString, Timestamp } from '../http/schemas.ts';
import { makerSchema } from '../members/maker-schemas.ts';
import { OptionalMfaCode } from '../mfa/mfa-code-schemas.ts';
import { OneTimeToken } from '../one-time-tokens/one-time-token-schemas.ts';
import { OrganizationNameString } from '../organizations/organization-schemas.ts';
import { RoleName } from '../roles/role-schemas.ts';

export const InvitationParams = Type.Object({ id: ObjectIdString });

export const InvitationBody = Type.Object(
  { email: Email, role: RoleName },
  { additionalProperties: false },
);

export const Invitation = Type.Object(
  {
    id: ObjectIdString,
    email: Email,
    role: RoleName,
    status: Type.Enum(['pending', 'expired'], {
      description: 'An expired one can be sent again. It is listed for another 30 days.',
    }),
    invited_by: makerSchema('Who invited them'),
    created_at: Timestamp,
    expires_at: Timestamp,
  },
  { description: 'An invitation that has not been accepted. Its secret is in the mail alone.' },
);

export const Invitations = listOf(
  Invitation,
  'Invitations that have not been accepted, oldest first.',
);

export const LookUpBody = Type.Object({ token: OneTimeToken }, { additionalProperties: false });

export const InvitationPreview = Type.Object(
  {
    organization_name: OrganizationNameString,
    email: Email,
    role: RoleName,
    expires_at: Timestamp,
    account_exists: Type.Boolean({
      description: 'Whether the e-mail address has an account, whose password is then asked for.',
      examples: [false],
    }),
  },
  { description: 'What the invitation is to.' },
);

export const AcceptBody = Type.Object(
  {
    token: OneTimeToken,
    password: Type.Optional(
      Type.String({
        ...Password,
        description:
          'Of the account with the e-mail address; if there is none, the password for the new one, with the rules for ' +
          'new passwords. Not looked at when you send an access token.',
      }),
    ),
    name: Type.Optional(
      nullableString({
        ...PersonNameInput,
        description: 'For a new account; one that exists keeps its own.',
      }),
    ),
    code: Type.Optional(OptionalMfaCode),
  },
  { additionalProperties: false },
);
