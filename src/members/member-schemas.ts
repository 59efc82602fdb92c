import { Type } from 'typebox';
import { listOf } from '../http/pagination.ts';
import { Email, nullableString, ObjectIdString, Timestamp } from '../http/schemas.ts';
import { RoleName } from '../roles/role-schemas.ts';

export const MemberParams = Type.Object({ admin_id: ObjectIdString });

export const RoleChange = Type.Object({ role: RoleName }, { additionalProperties: false });

export const TransferBody = Type.Object(
  { admin_id: ObjectIdString },
  { additionalProperties: false },
);

export const Member = Type.Object(
  {
    id: ObjectIdString,
    email: Email,
    name: nullableString({ examples: ['Ada Lovelace', null] }),
    role: RoleName,
    joined_at: Timestamp,
  },
  { description: 'A member. `id` is the person; the same in all their organizations.' },
);

export const Members = listOf(Member, 'Members, longest first.');
