import type { OrganizationState } from '../registry/organization-document.ts';

/** What operators see of the state of an organization. A rename is online, so it is no state of its own. */
export const ORGANIZATION_STATUSES = [
  'provisioning',
  'active',
  'suspended',
  'deleted',
  'deleting',
] as const;
export type OrganizationStatus = (typeof ORGANIZATION_STATUSES)[number];

/** Those that lists know: what is being made is not there yet. */
export const LISTED_STATUSES = ['active', 'suspended', 'deleted', 'deleting'] as const;
export type ListedStatus = (typeof LISTED_STATUSES)[number];

const STATES: Record<ListedStatus, readonly OrganizationState[]> = {
  active: ['active', 'renaming'],
  suspended: ['suspended'],
  deleted: ['deleted'],
  deleting: ['deleting'],
};

export function statusOf(state: OrganizationState): OrganizationStatus {
  return state === 'renaming' ? 'active' : state;
}

/** @param status - undefined for all of them */
export function statesOf(status: ListedStatus | undefined): readonly OrganizationState[] {
  return status === undefined ? Object.values(STATES).flat() : STATES[status];
}
