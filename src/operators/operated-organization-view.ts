import type { ListedOrganization } from '../registry/organization-list-store.ts';
import type { OperatedOrganization } from './operated-organization-service.ts';
import { statusOf } from './organization-status.ts';

/** An organization in a list. */
export function listedView(organization: ListedOrganization) {
  const { _id, state, measured, last_active_at, created_at, suspension, deletion } = organization;
  const { organization_name, collection_name, database, external_id, updated_at } = organization;
  return {
    ...{ id: _id.toHexString(), organization_name, collection_name, database },
    status: statusOf(state),
    external_id: external_id ?? null,
    created_at: created_at.toISOString(),
    updated_at: updated_at.toISOString(),
    records: measured?.records ?? 0,
    bytes: measured?.bytes ?? 0,
    measured_at: (measured?.at ?? created_at).toISOString(),
    last_active_at: (last_active_at ?? created_at).toISOString(),
    suspension: suspensionView(suspension),
    purge_at: deletion === undefined ? null : deletion.purge_at.toISOString(),
  };
}

/** An organization by itself. */
export function operatedView({ organization, members, owner }: OperatedOrganization) {
  return {
    ...listedView(organization),
    members,
    owner: owner && { id: owner._id.toHexString(), email: owner.email },
    metadata: organization.metadata,
    quota: organization.quota ?? {},
  };
}

function suspensionView(suspension: ListedOrganization['suspension']) {
  if (suspension === undefined) return null;
  const { reason, at, operator_id } = suspension;
  return { reason, at: at.toISOString(), operator_id: operator_id.toHexString() };
}
