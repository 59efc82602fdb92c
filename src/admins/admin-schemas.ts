import { Type } from 'typebox';
import {
  Email,
  ObjectIdString,
  OrganizationNameString,
} from '../organizations/organization-schemas.ts';
import { ROLES } from '../roles/permissions.ts';

const Password = Type.String({
  minLength: 1,
  maxLength: 1_024,
  format: 'password',
  examples: ['correct horse battery staple'],
});

const Code = Type.String({
  maxLength: 64,
  description: 'A two-factor code. Only looked at for accounts with a second factor.',
  examples: ['123456'],
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
    code: Type.Optional(Code),
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
    code: Type.Optional(Code),
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
    description: 'Seconds until the session ends for good.',
    examples: [2592000],
  }),
};

const OrganizationChoice = Type.Object({
  id: ObjectIdString,
  organization_name: OrganizationNameString,
  role: Type.Enum([...ROLES]),
});

export const SignedIn = Type.Object(
  {
    ...tokenPair,
    admin: Type.Object({
      id: ObjectIdString,
      email: Email,
      name: Type.Union([Type.String({ examples: ['Ada Lovelace'] }), Type.Null()]),
    }),
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
