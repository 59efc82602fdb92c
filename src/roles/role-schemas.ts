import { Type } from 'typebox';
import { nullableString } from '../http/schemas.ts';
import { GRANTABLE_PERMISSIONS, PERMISSIONS, ROLE_NAME } from './permissions.ts';

export const RoleName = Type.String({
  pattern: ROLE_NAME,
  description:
    'Built in are `owner`, `admin`, `editor` and `viewer`; others are defined by the organization.',
  examples: ['editor'],
});

const Description = nullableString({
  maxLength: 500,
  description: 'For people.',
  examples: ['May read everything and bill for it', null],
});

const Grants = Type.Array(Type.Enum([...GRANTABLE_PERMISSIONS]), {
  maxItems: GRANTABLE_PERMISSIONS.length,
  description: 'What the role allows. You can only give what you have yourself.',
  examples: [['org:read', 'member:read', 'record:read']],
});

export const RoleParams = Type.Object({ name: RoleName });

export const RoleBody = Type.Object(
  { name: RoleName, description: Type.Optional(Description), permissions: Grants },
  { additionalProperties: false },
);

export const RoleReplacement = Type.Object(
  { description: Type.Optional(Description), permissions: Grants },
  { additionalProperties: false },
);

export const Role = Type.Object(
  {
    name: RoleName,
    description: Description,
    built_in: Type.Boolean({ examples: [false] }),
    permissions: Type.Array(Type.Enum([...PERMISSIONS])),
  },
  { description: 'A role, and what it allows.' },
);

export const Roles = Type.Object(
  { data: Type.Array(Role), next_cursor: Type.Null() },
  {
    description:
      "The built-in roles, strongest first, then the organization's own, oldest first: all of them.",
  },
);
