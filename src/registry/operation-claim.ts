import type { Filter, ObjectId } from 'mongodb';
import type { OrganizationDocument } from './organization-document.ts';

/** The operation for which a registry document may be changed, and which of those that took it up may do so. */
export interface OperationClaim {
  organizationId: ObjectId;
  operationId: ObjectId;
  /** Counts how often the operation was taken up: not even the same instance holds two claims on it. */
  attempt: number;
}

/** Matches the organization while the claim holds. */
export function heldBy(claim: OperationClaim): Filter<OrganizationDocument> {
  return {
    _id: claim.organizationId,
    'operation._id': claim.operationId,
    'operation.attempts': claim.attempt,
  };
}
