import type { Filter } from 'mongodb';
import type { OrganizationDocument } from './organization-document.ts';

/** A change of an organization's own fields. */
export interface OrganizationChange {
  $set: Partial<OrganizationDocument>;
  $unset?: { external_id?: ''; suspension?: '' };
}

/** Matches an organization that is still as it was seen, with no operation under way. */
export function unchanged(seen: OrganizationDocument): Filter<OrganizationDocument> {
  return {
    _id: seen._id,
    version: seen.version,
    state: seen.state,
    operation: { $exists: false },
  };
}
