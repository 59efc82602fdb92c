import type { ObjectId } from 'mongodb';
import { makeApiKey } from '../api-keys/api-key.ts';
import { ApiKeyService } from '../api-keys/api-key-service.ts';
import { InvitationAcceptance } from '../invitations/invitation-acceptance.ts';
import { InvitationService } from '../invitations/invitation-service.ts';
import { JoiningService } from '../invitations/joining-service.ts';
import { Makers } from '../members/makers.ts';
import { MemberChanges } from '../members/member-changes.ts';
import { MemberService } from '../members/member-service.ts';
import { OrganizationService } from '../organizations/organization-service.ts';
import { OrganizationUpdateService } from '../organizations/organization-update-service.ts';
import { RoleService } from '../roles/role-service.ts';
import type { createCredentials } from './credentials.ts';
import type { Foundation } from './foundation.ts';
import type { createLifecycle } from './lifecycle.ts';
import type { createRecords } from './records.ts';
import type { createSessions } from './sessions.ts';
import type { Stores } from './stores.ts';

type OrganizationParts = ReturnType<typeof createCredentials> &
  ReturnType<typeof createLifecycle> &
  Pick<ReturnType<typeof createSessions>, 'links' | 'notices' | 'logins'> &
  Pick<ReturnType<typeof createRecords>, 'memberQuota'>;

/** Organizations, and everybody and everything that belongs to one. */
export function createOrganizations(
  foundation: Foundation,
  stores: Stores,
  parts: OrganizationParts,
) {
  const { settings, clock, ids, logger } = foundation;
  const forgetAnswers = (id: ObjectId) => stores.idempotency.eraseSubject(id);
  const { registry, admins, memberships, invitations: invitationStore, sessions } = stores;
  const { credentials, passwords, creation, update, grace, budget, accounts } = parts;
  const { links, notices, logins, reauthentication, memberQuota } = parts;

  const organizations = new OrganizationService({
    ...{ registry, admins, memberships, passwords, credentials, creation, grace, budget },
    ...{ clock, ids, tenantDatabase: settings.tenantDatabase },
  });
  const organizationUpdates = new OrganizationUpdateService({
    ...{ organizations, registry, admins, sessions, passwords, update, notices, clock },
    ...{ reauthentication, ids },
  });
  const roles = new RoleService({
    ...{ roles: stores.roles, registry, forgetAnswers, clock, ids },
    // One after the other: an invitation that has been accepted by now has made its member before.
    isInUse: async (organizationId, role) =>
      (await invitationStore.isRoleInUse(organizationId, role)) ||
      (await memberships.isRoleInUse(organizationId, role)),
  });
  const memberChanges = new MemberChanges({
    ...{ memberships, admins, accounts, sessions, clock, ids, logger },
  });
  const members = new MemberService({ memberships, admins, roles, changes: memberChanges });
  const makers = new Makers({ memberships, admins });
  const invitations = new InvitationService({
    ...{ ...links, invitations: invitationStore, memberships, admins, makers, roles, registry },
    ...{ forgetAnswers, memberQuota, logger },
  });
  const acceptance = new InvitationAcceptance({
    ...{ invitations: invitationStore, memberships, admins, accounts, registry },
    ...{ memberQuota, clock, ids, logger },
  });
  const joining = new JoiningService({
    ...{ invitations: invitationStore, acceptance, admins, registry, credentials, passwords },
    ...{ logins, clock, ids },
  });
  const apiKeys = new ApiKeyService({
    ...{ keys: stores.apiKeys, registry, makers, clock, ids, makeKey: makeApiKey },
    forgetAnswers,
  });
  return {
    ...{ organizations, organizationUpdates, roles, members, memberChanges },
    ...{ invitations, acceptance, joining, apiKeys },
  };
}
