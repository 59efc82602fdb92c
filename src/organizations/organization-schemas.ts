import { type Static, Type } from 'typebox';
import { Email, ObjectIdString, Timestamp } from '../http/schemas.ts';
import { OptionalMfaCode } from '../mfa/mfa-code-schemas.ts';

export const OrganizationNameString = Type.String({
  description:
    'Trimmed, NFKC; 1 to 100 characters of any script, at least one of them a letter or digit. Names that lead to the ' +
    'same collection are one name.',
  examples: ['Acme GmbH'],
});

/** The outer bounds; `admins/password-policy.ts` counts again after NFKC, which changes lengths, and has the other rules. */
export const NewPassword = Type.String({
  minLength: 8,
  maxLength: 256,
  format: 'password',
  description:
    '8 to 256 characters, any of them, as sent and after NFKC. One of the most common passwords, the e-mail address or ' +
    'what stands before its @, or the name of the organization is refused with `password_too_common`.',
  examples: ['correct horse battery staple'],
});

export const ExternalId = Type.String({
  minLength: 1,
  maxLength: 255,
  description: "The product's own id for the organization; unique.",
  examples: ['customer-4711'],
});

/** Not a union, whose faults are told three times over. */
const NullableExternalId = Type.Unsafe<string | null>({ ...ExternalId, type: ['string', 'null'] });

/** Not a `Type.Record`: its pattern leaves out names with a line break, and the answer would lack them. */
export const Metadata = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  additionalProperties: true,
  description:
    'Anything the product wants to keep with the organization: a JSON object of at most 16 KiB and 32 levels. No name ' +
    'in it may be `_bsontype`, which MongoDB drivers keep for themselves.',
  examples: [{ plan: 'team', seats: 12 }],
});

const Role = Type.String({ examples: ['owner'] });

const OrganizationAdmin = Type.Object({ id: ObjectIdString, email: Email });

const Identity = {
  id: ObjectIdString,
  organization_name: OrganizationNameString,
  collection_name: Type.String({
    description: "The organization's collection: `org_` and the slug of its name.",
    examples: ['org_acme_gmbh'],
  }),
};

export const SignUpBody = Type.Object(
  {
    organization_name: OrganizationNameString,
    email: Email,
    password: NewPassword,
    code: Type.Optional(OptionalMfaCode),
  },
  { additionalProperties: false },
);

export const CreatedOrganization = Type.Object(
  {
    ...Identity,
    admin: OrganizationAdmin,
    status: Type.Literal('active'),
    created_at: Timestamp,
  },
  { description: 'The organization, ready for use, and its owner.' },
);

export const GetQuery = Type.Object(
  {
    organization_name: Type.Optional(OrganizationNameString),
  },
  { additionalProperties: false },
);

export const Organization = Type.Object(
  {
    ...Identity,
    status: Type.Enum(['active', 'suspended']),
    created_at: Timestamp,
    admin: Type.Optional(
      Type.Object(OrganizationAdmin.properties, {
        description:
          'The owner who has been a member longest. For members, as are the fields below.',
      }),
    ),
    updated_at: Type.Optional(Timestamp),
    members: Type.Optional(Type.Integer({ minimum: 1, examples: [3] })),
    metadata: Type.Optional(Metadata),
    external_id: Type.Optional(NullableExternalId),
    your_role: Type.Optional(Role),
  },
  { description: 'The organization, as the caller may see it.' },
);
export type Organization = Static<typeof Organization>;

export const UpdateBody = Type.Object(
  {
    organization_name: Type.Optional(
      Type.String({
        ...OrganizationNameString,
        description: 'The new name; or, beside `new_organization_name`, the present one.',
      }),
    ),
    new_organization_name: Type.Optional(OrganizationNameString),
    metadata: Type.Optional(Metadata),
    external_id: Type.Optional(NullableExternalId),
    email: Type.Optional(Email),
    password: Type.Optional(NewPassword),
    current_password: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1_024,
        format: 'password',
        description: 'With `email` or `password`, if you have a second factor.',
        examples: ['correct horse battery staple'],
      }),
    ),
    code: Type.Optional(OptionalMfaCode),
  },
  { additionalProperties: false, minProperties: 1 },
);

export const DeleteParameters = Type.Object(
  {
    organization_name: Type.Optional(
      Type.String({
        ...OrganizationNameString,
        description: "A safeguard: if given, it has to be the token's organization.",
      }),
    ),
  },
  { additionalProperties: false },
);

export const DeletedOrganization = Type.Object(
  {
    id: ObjectIdString,
    organization_name: OrganizationNameString,
    status: Type.Literal('deleted'),
    purge_at: Type.Unsafe<string | null>({
      ...Timestamp,
      type: ['string', 'null'],
      description:
        'Until then an operator can restore it, with all that it had; null: everything is gone already.',
      examples: [null, '2026-12-01T09:30:00.000Z'],
    }),
  },
  { description: 'What was deleted.' },
);
