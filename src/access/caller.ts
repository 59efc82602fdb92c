import type { ObjectId } from 'mongodb';
import type { Permission } from '../roles/permissions.ts';

interface CallerOfOrganization {
  organizationId: ObjectId;
  permissions: ReadonlySet<Permission>;
}

/** A person who is signed in to one of their organizations. */
export interface MemberCaller extends CallerOfOrganization {
  kind: 'member';
  adminId: ObjectId;
  sessionId: ObjectId;
  /** What the session is good in: see {@link AdminDocument.session_era}. */
  sessionEra: ObjectId | null;
  role: string;
}

/** A machine with an API key of the organization. */
export interface MachineCaller extends CallerOfOrganization {
  kind: 'api_key';
  apiKeyId: ObjectId;
  /** When the key ends; null if never. */
  expiresAt: Date | null;
}

/** Somebody who runs the installation. They act on organizations, never in one. */
export interface OperatorCaller {
  kind: 'operator';
  operatorId: ObjectId;
  sessionId: ObjectId;
}

/** Who is asking in an organization, as established for one request. */
export type Caller = MemberCaller | MachineCaller;
