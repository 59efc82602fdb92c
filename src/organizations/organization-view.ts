import type { Static } from 'typebox';
import type { Caller } from '../access/caller.ts';
import type { OrganizationDocument } from '../registry/organization-document.ts';
import type { DeletedOrganization as Deleted } from '../tenants/lifecycle/organization-grace.ts';
import type {
  CreatedOrganization,
  DeletedOrganization,
  Organization,
} from './organization-schemas.ts';
import type { MemberView, OwnedOrganization } from './organization-service.ts';

/** What `POST /org/create` answers. */
export function createdView({
  organization,
  owner,
}: OwnedOrganization): Static<typeof CreatedOrganization> {
  return {
    ...identity(organization),
    admin: { id: owner._id.toHexString(), email: owner.email },
    status: 'active',
    created_at: organization.created_at.toISOString(),
  };
}

/** What everybody may see of an organization. */
export function publicView(organization: OrganizationDocument): Organization {
  return {
    ...identity(organization),
    // A rename is online: nobody has to know that one is under way.
    status: organization.state === 'suspended' ? 'suspended' : 'active',
    created_at: organization.created_at.toISOString(),
  };
}

/** What a member sees. */
export function memberView(
  { organization, owner, members }: MemberView,
  caller: Caller,
): Organization {
  return {
    ...publicView(organization),
    admin: { id: owner._id.toHexString(), email: owner.email },
    updated_at: organization.updated_at.toISOString(),
    members,
    metadata: organization.metadata,
    external_id: organization.external_id ?? null,
    ...(caller.kind === 'member' && { your_role: caller.role }),
  };
}

/** What `DELETE /org/delete` answers. */
export function deletedView({
  organization,
  purgeAt,
}: Deleted): Static<typeof DeletedOrganization> {
  return {
    id: organization._id.toHexString(),
    organization_name: organization.organization_name,
    status: 'deleted',
    purge_at: purgeAt?.toISOString() ?? null,
  };
}

function identity({ _id, organization_name, collection_name }: OrganizationDocument) {
  return { id: _id.toHexString(), organization_name, collection_name };
}
