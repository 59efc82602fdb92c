import type { Db, Document, ObjectId } from 'mongodb';
import type { OrganizationDocument } from '../../../src/registry/organization-document.ts';
import { ORGANIZATIONS } from '../../../src/registry/registry-store.ts';
import { type Finding, ghost, lost } from '../../support/finding.ts';

/** What every record of the drill says of itself. */
export interface DrillRecord {
  /** Hex: for whom it was written. */
  organization_id: string;
  /** Who wrote it; with `n` it is one of a kind. */
  writer: number;
  n: number;
  /** How often it has been changed. */
  version: number;
}

/** A record as its writer, who alone changes it, knows it. */
export interface Entry extends DrillRecord {
  /** Hex; unknown until the answer came. */
  id: string | undefined;
  /** `sent`: nobody has said yet what became of it, nor ever may. */
  state: 'sent' | 'there' | 'deleted';
}

/** Every record that was sent, and what was said of it. */
export class RecordLedger {
  readonly #entries = new Map<string, Entry>();

  /** A new record, about to be sent. */
  open(organizationId: string, writer: number, n: number): Entry {
    const fields = { organization_id: organizationId, writer, n, version: 0 };
    const entry: Entry = { ...fields, id: undefined, state: 'sent' };
    this.#entries.set(keyOf(entry), entry);
    return entry;
  }

  /**
   * Looks into the collection of every organization there is.
   *
   * @returns strays, records that are missing or are not as they were left, and those that should not be there
   */
  async check(db: Db): Promise<Finding[]> {
    const organizations = await db
      .collection<OrganizationDocument>(ORGANIZATIONS.name)
      .find()
      .toArray();
    const expected = Map.groupBy(this.#entries.values(), (entry) => entry.organization_id);
    const findings: Finding[] = [];
    for (const { _id, collection_name } of organizations) {
      const id = _id.toHexString();
      const documents = await db.collection(collection_name).find().toArray();
      findings.push(...this.#strangers(documents, id));
      findings.push(...missingOf(documents, expected.get(id) ?? []));
    }
    return findings;
  }

  /** What is in a collection and should not be. */
  #strangers(documents: readonly Document[], organizationId: string): Finding[] {
    const seen = new Set<string>();
    return documents.flatMap((document) => {
      const { organization_id: owner } = document;
      const key = keyOf(document as unknown as Entry);
      const name = `the record ${key}`;
      if (owner !== organizationId) return [ghost(`${name} of ${owner} is in ${organizationId}`)];
      if (seen.has(key)) return [ghost(`${name} is there twice`)];
      seen.add(key);
      const entry = this.#entries.get(key);
      if (entry === undefined) return [ghost(`nobody wrote ${name}`)];
      return entry.state === 'deleted' ? [ghost(`${name} was deleted`)] : [];
    });
  }
}

function missingOf(documents: readonly Document[], entries: readonly Entry[]): Finding[] {
  const found = new Map(documents.map((one) => [(one._id as ObjectId).toHexString(), one]));
  return entries.flatMap((entry) => {
    if (entry.state !== 'there') return [];
    const document = entry.id === undefined ? undefined : found.get(entry.id);
    const name = `the record ${keyOf(entry)}`;
    if (document === undefined) return [lost(`${name} is not in ${entry.organization_id}`)];
    return document.version === entry.version
      ? []
      : [lost(`${name} has version ${document.version} in place of ${entry.version}`)];
  });
}

function keyOf({ writer, n }: Pick<Entry, 'writer' | 'n'>): string {
  return `${writer}/${n}`;
}
