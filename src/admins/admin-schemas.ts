import { Type } from 'typebox';
import { listOf } from '../http/pagination.ts';
import { Email, nullableString, ObjectIdString, Timestamp } from '../http/schemas.ts';
import { OptionalMfaCode } from '../mfa/mfa-code-schemas.ts';
import { NewPassword, OrganizationNameString } from '../organizations/organization-schemas.ts';
import { RoleName } from '../roles/role-schemas.ts';

/** One that is compared, not chosen. */
export const Password = Type.String({
  minLength: 1,
  maxLength: 1_024,
  format: 'password',
  examples: ['correct horse battery staple'],
});

/** Asked for again before what one signs in with is changed. */
export const CurrentPassword = Type.String({
  ...Password,
  description: 'Yours: an access token alone may not change what you sign in with.',
});

export const LoginBody = Type.Object(
  {
    email: Email,
    password: Password,
    organization_name: Type.Optional(
      Type.String({
        ...OrganizationNameString,
        description: 'Where to sign in; by default where you were last.',
      }),
    ),
    code: Type.Optional(OptionalMfaCode),
  },
  { additionalProperties: false },
);

const Unused = Type.String({
  maxLength: 1_024,
  description: 'Accepted, because OAuth clients send it; means nothing here.',
  examples: [''],
});

/** OAuth 2.0 password grant (RFC 6749, 4.3.2), for Swagger UI's Authorize button. */
export const LoginForm = Type.Object(
  {
    grant_type: Type.Optional(Type.Literal('password')),
    username: Type.String({ ...Email, description: 'The e-mail address.' }),
    password: Password,
    scope: Type.Optional(Unused),
    client_id: Type.Optional(Unused),
    client_secret: Type.Optional(Unused),
    organization_name: Type.Optional(OrganizationNameString),
    code: Type.Optional(OptionalMfaCode),
  },
  { additionalProperties: false },
);

const REFRESH_TOKEN_EXAMPLE = 'ZvHA_-4N26Ecp1oeAAAAANQ3ZkT0q8mP2hV9xWcR5sYb7uJk1LgEoIiMfCnAtSzD';

const tokenPair = {
  access_token: Type.String({
    description: 'A JWT for `Authorization: Bearer`.',
    examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ0ZW5hbnRyeSJ9.…'],
  }),
  token_type: Type.Literal('bearer'),
  expires_in: Type.Integer({ description: 'Seconds the access token is valid.', examples: [3600] }),
  refresh_token: Type.String({
    description: 'Opaque; good for one `POST /admin/refresh`.',
    examples: [REFRESH_TOKEN_EXAMPLE],
  }),
  refresh_expires_in: Type.Integer({
    description: 'Seconds until the refresh token stops working, and with it the session.',
    examples: [604800],
  }),
};

const PersonName = nullableString({ examples: ['Ada Lovelace', null] });

export const OrganizationChoice = Type.Object({
  id: ObjectIdString,
  organization_name: OrganizationNameString,
  role: RoleName,
});

export const SignedIn = Type.Object(
  {
    ...tokenPair,
    admin: Type.Object({ id: ObjectIdString, email: Email, name: PersonName }),
    organization: OrganizationChoice,
    organizations: Type.Array(OrganizationChoice, {
      description: 'Every organization this person may sign in to.',
    }),
  },
  { description: 'Signed in: tokens for one organization, and where else there is to sign in.' },
);

export const RefreshBody = Type.Object(
  {
    refresh_token: Type.String({
      minLength: 1,
      maxLength: 512,
      examples: [REFRESH_TOKEN_EXAMPLE],
    }),
  },
  { additionalProperties: false },
);

export const TokenPair = Type.Object(tokenPair, {
  description: 'A new pair. The refresh token that was sent is used up.',
});

export const MyOrganizations = listOf(
  OrganizationChoice,
  'Your organizations, in the order you joined them.',
);

export const Me = Type.Object(
  {
    id: ObjectIdString,
    email: Email,
    pending_email: nullableString({
      description: 'The address you asked for and have not confirmed yet.',
      examples: ['ada@globex.example', null],
    }),
    name: PersonName,
    created_at: Timestamp,
    mfa: Type.Object(
      {
        totp: Type.Boolean({ description: 'Whether signing in takes a code.', examples: [true] }),
        recovery_codes_left: Type.Integer({ minimum: 0, maximum: 10, examples: [10] }),
      },
      { description: 'Your second factor.' },
    ),
    organization: OrganizationChoice,
    permissions: Type.Array(Type.String({ examples: ['member:read'] }), {
      description: 'What the token may do in its organization.',
    }),
  },
  { description: 'The person, and the organization they are signed in to.' },
);

/** A person's name, when it is chosen. */
export const PersonNameInput = { minLength: 1, maxLength: 200, examples: ['Ada Lovelace'] };

export const MeBody = Type.Object(
  {
    name: Type.Optional(
      nullableString({ ...PersonNameInput, description: 'Shown to others; null for none.' }),
    ),
    email: Type.Optional(
      Type.String({
        ...Email,
        description:
          'Counts when you have followed the link that is sent to it. Your present one withdraws a change under way.',
      }),
    ),
    password: Type.Optional(NewPassword),
    current_password: Type.Optional(
      Type.String({
        ...Password,
        description: 'Needed to change the password or the e-mail address.',
      }),
    ),
    code: Type.Optional(OptionalMfaCode),
  },
  { additionalProperties: false, minProperties: 1 },
);

export const SwitchBody = Type.Object(
  {
    organization_id: Type.Optional(ObjectIdString),
    organization_name: Type.Optional(OrganizationNameString),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
);
