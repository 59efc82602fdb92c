import type { Document, ObjectId, UUID } from 'mongodb';

/**
 * Where an organization is in its life. Only `active` and `renaming` answer requests; with `suspended` and `deleted` an
 * organization rests, the other states exist while an operation is under way, or until recovery has ended what a crash left.
 */
export type OrganizationState =
  | 'provisioning'
  | 'active'
  | 'renaming'
  | 'suspended'
  /** Deleted, and to be purged at the end of a grace period unless it is restored. */
  | 'deleted'
  | 'deleting';

/** The states in which an organization serves its members. A rename is online, so it is one of them. */
export const SERVING_STATES: readonly OrganizationState[] = ['active', 'renaming'];

/** Whether an organization is gone for its members, if not for good. @param state - null when there is none of that id */
export function isGone(state: OrganizationState | null): boolean {
  return state === null || state === 'deleting' || state === 'deleted';
}

/** A tenant collection's full address. The UUID is its identity: it survives a rename and is never used again. */
export interface CollectionReference {
  database: string;
  name: string;
  uuid: UUID;
}

/** What a person's own account changes to, as part of an update of their organization. */
export interface CredentialChange {
  admin_id: ObjectId;
  email?: string;
  password?: StoredPassword;
  /** The session that asked, the only one that outlives a new password. */
  session_id: ObjectId;
  /** What stood there before, so that an update that fails later can be undone, and by which change it came there. */
  previous: {
    email: string;
    password: StoredPassword;
    change: ObjectId | null;
    era: ObjectId | null;
  };
}

/** A password as it is stored; `scheme` says how to verify it. */
export interface StoredPassword {
  /** `bcrypt`: of the password itself (the original's). `bcrypt-sha384`: of the base64 of its SHA-384. */
  scheme: 'bcrypt' | 'bcrypt-sha384';
  hash: string;
}

/** An organization's own fields as an update will leave them. */
export type OrganizationTarget = Pick<OrganizationDocument, IdentityField | 'metadata'> & {
  external_id: string | null;
};

interface OperationFields {
  _id: ObjectId;
  /** The service instance that runs it, until the lease expires by the database's clock. */
  owner: string;
  lease_expires_at: Date;
  started_at: Date;
  /** How many instances have taken it up; more than a few means it is stuck. */
  attempts: number;
}

export interface CreateOperation extends OperationFields {
  kind: 'create';
  owner_admin_id: ObjectId;
}

export interface UpdateOperation extends OperationFields {
  kind: 'update';
  /** The organization's fields as they will be after the commit. */
  target: OrganizationTarget;
  credentials?: CredentialChange;
  /** It turned out to be impossible, and is being taken back. */
  undoing?: true;
}

export interface DeleteOperation extends OperationFields {
  kind: 'delete';
}

/** The lifecycle step an organization is in. Its presence marks work to finish; see `tenants/recovery.ts`. */
export type OperationDocument = CreateOperation | UpdateOperation | DeleteOperation;

/** What an organization may use. A field that is absent stands for the service's default, null for no limit. */
export interface QuotaDocument {
  max_records?: number | null;
  max_bytes?: number | null;
  max_members?: number | null;
}

/** Why nothing of an organization is served. */
export interface SuspensionDocument {
  reason: string | null;
  at: Date;
  operator_id: ObjectId;
}

/** How an organization came to be deleted, and until when it can be restored. Times are by the database's clock. */
export interface DeletionDocument {
  /** Names this deletion: how a caller whose answer got lost learns that it took place. */
  id: ObjectId;
  at: Date;
  purge_at: Date;
  /** What it is restored to. */
  from: 'active' | 'suspended';
}

type IdentityField = 'organization_name' | 'name_key' | 'slug' | 'skeleton' | 'collection_name';

/** An organization in the master database: the registry's one document about a tenant. */
export interface OrganizationDocument {
  _id: ObjectId;
  organization_name: string;
  /** The name compared without regard to case and spacing. */
  name_key: string;
  slug: string;
  skeleton: string;
  collection_name: string;
  database: string;
  /** Absent until the collection has been created. */
  collection_uuid?: UUID;
  state: OrganizationState;
  /**
   * Every name this organization keeps others from taking: the current one and, during an update, the one it moves
   * to. Unique indexes over these arrays are what makes two organizations of one name impossible.
   */
  held: { slugs: string[]; skeletons: string[]; external_ids: string[] };
  external_id?: string;
  metadata: Document;
  /** Set by operators. */
  quota?: QuotaDocument;
  /** While it is suspended. */
  suspension?: SuspensionDocument;
  /** While it is deleted, and can be restored. */
  deletion?: DeletionDocument;
  /**
   * What operators find it by: see `search-keys.ts`. Absent while it is made, and on a document of an older
   * release until it is filled in.
   */
  search_keys?: string[];
  /** How much was in it, and when: see `OrganizationMeasurement`. */
  measured?: { records: number; bytes: number; at: Date };
  /** When it is due to be measured: it was used since. */
  measure_at?: Date;
  /** When it was last used, to a quarter of an hour: see `OrganizationActivity`. */
  last_active_at?: Date;
  /** Counts committed changes; a change begins only on the version it was decided on. */
  version: number;
  /** The operation committed last: how a caller whose answer got lost learns that its commit happened. */
  last_operation_id?: ObjectId;
  created_at: Date;
  updated_at: Date;
  operation?: OperationDocument;
}

/** The collection of an organization that has one. */
export function collectionReference(
  organization: OrganizationDocument,
): CollectionReference | undefined {
  const { database, collection_name: name, collection_uuid: uuid } = organization;
  return uuid === undefined ? undefined : { database, name, uuid };
}
