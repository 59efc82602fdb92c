import type { Db } from 'mongodb';
import type { OrganizationDocument } from '../../../src/registry/organization-document.ts';
import { ORGANIZATIONS } from '../../../src/registry/registry-store.ts';
import { type Finding, ghost, lost } from '../../support/finding.ts';

/** A document that says for whom it was written: in no other organization's collection may it ever be found. */
export interface MarkedDocument {
  /** Unique among all documents of a drill. */
  mark: number;
  /** Hex. */
  organization_id: string;
}

/** Every document that was written, and which of them were acknowledged. */
export class DocumentLedger {
  readonly #acknowledged = new Map<string, Set<number>>();
  #marks = 0;

  /** New documents for an organization. */
  make(organizationId: string, count: number): MarkedDocument[] {
    return Array.from({ length: count }, () => {
      this.#marks += 1;
      return { mark: this.#marks, organization_id: organizationId };
    });
  }

  acknowledge(documents: readonly MarkedDocument[]): void {
    for (const { mark, organization_id } of documents) {
      const marks = this.#acknowledged.get(organization_id) ?? new Set();
      this.#acknowledged.set(organization_id, marks.add(mark));
    }
  }

  /**
   * Looks into the collection of every organization in the registry; those of deleted organizations are not asked for.
   *
   * @returns acknowledged documents that are missing, documents written for somebody else, documents written twice
   */
  async check(db: Db): Promise<Finding[]> {
    const organizations = await db
      .collection<OrganizationDocument>(ORGANIZATIONS.name)
      .find()
      .toArray();
    const found = await Promise.all(organizations.map((one) => this.#checkOne(db, one)));
    return found.flat();
  }

  async #checkOne(db: Db, { _id, collection_name }: OrganizationDocument): Promise<Finding[]> {
    const id = _id.toHexString();
    const documents = await db
      .collection(collection_name)
      .find<Partial<MarkedDocument>>({})
      .toArray();
    const marks = documents.flatMap(({ mark }) => (mark === undefined ? [] : [mark]));
    const unique = new Set(marks);
    const missing = [...(this.#acknowledged.get(id) ?? [])].filter((mark) => !unique.has(mark));
    const strays = documents.filter(({ organization_id }) => organization_id !== id);
    return [
      ...missing.map((mark) => lost(`the document ${mark} is not in ${collection_name}`)),
      ...strays.map(({ mark, organization_id: owner }) =>
        ghost(`the document ${mark} of ${owner} is in ${collection_name}, which belongs to ${id}`),
      ),
      ...Array.from({ length: marks.length - unique.size }, () =>
        ghost(`a document is in ${collection_name} twice`),
      ),
    ];
  }
}
