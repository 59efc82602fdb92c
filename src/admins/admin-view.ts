import type { Static } from 'typebox';
import type { MemberCaller } from '../access/caller.ts';
import { mfaStatusOf } from '../mfa/mfa-service.ts';
import type { Account } from './account-service.ts';
import type { Me, SignedIn } from './admin-schemas.ts';
import type { OrganizationChoice, SignIn } from './login-service.ts';

/** What every operation answers that signs somebody in. */
export function signInView({ tokens, admin, chosen, choices }: SignIn): Static<typeof SignedIn> {
  return {
    ...tokens,
    admin: { id: admin._id.toHexString(), email: admin.email, name: admin.name },
    organization: choiceView(chosen),
    organizations: choices.map(choiceView),
  };
}

/** What `/admin/me` answers. */
export function meView(
  { admin, pendingEmail, ...choice }: Account,
  { permissions }: MemberCaller,
): Static<typeof Me> {
  return {
    ...{ id: admin._id.toHexString(), email: admin.email, name: admin.name },
    pending_email: pendingEmail,
    created_at: admin.created_at.toISOString(),
    mfa: mfaStatusOf(admin),
    organization: choiceView(choice),
    permissions: [...permissions],
  };
}

/** An organization, to somebody who may sign in to it. */
export function choiceView({ organization, role }: OrganizationChoice) {
  return {
    id: organization._id.toHexString(),
    organization_name: organization.organization_name,
    role,
  };
}
