import type { Document, ObjectId } from 'mongodb';
import type { OrganizationDocument } from '../registry/organization-document.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';
import { OrganizationRecords } from './organization-records.ts';

/**
 * An organization as it was when it was looked up, and the way to its records. Whether it serves is decided then: look it up
 * for each request, not once for the life of the process.
 */
export class TenantOrganization {
  /** What it is: names change hands. */
  readonly id: ObjectId;
  readonly name: string;
  /** The product's own id for it, if it has one. */
  readonly externalId: string | undefined;
  readonly metadata: Document;
  readonly createdAt: Date;
  /** Its documents. */
  readonly records: OrganizationRecords;
  readonly #collection: TenantCollection;

  constructor(organization: OrganizationDocument, collection: TenantCollection) {
    this.id = organization._id;
    this.name = organization.organization_name;
    this.externalId = organization.external_id;
    this.metadata = organization.metadata;
    this.createdAt = organization.created_at;
    this.#collection = collection;
    this.records = new OrganizationRecords(collection);
  }

  /** As {@link records}, for documents of a certain type. Nothing checks that they are of it. */
  recordsOf<TSchema extends Document>(): OrganizationRecords<TSchema> {
    return new OrganizationRecords<TSchema>(this.#collection);
  }
}
