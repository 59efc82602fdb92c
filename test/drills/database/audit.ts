import { setTimeout as delay } from 'node:timers/promises';
import { type Db, type Document, MongoClient } from 'mongodb';
import { contradictions } from '../../support/database-truth.ts';
import type { Ledger } from './ledger.ts';
import type { MongodNode } from './mongod-node.ts';

/** What the database says against what clients were told. */
export interface Audit {
  lost: string[];
  ghosts: string[];
}

const SETTLE_LIMIT_MS = 15_000;

/**
 * Compares a database at rest with the ledger. Reads through the service's own client, so from the primary.
 *
 * @param others - ledgers of further loads on the same database
 */
export async function audit(db: Db, ledger: Ledger, ...others: Ledger[]): Promise<Audit> {
  const organizations = await db.collection('organizations').find().toArray();
  const byId = new Map(organizations.map((one) => [String(one._id), one]));
  const found: Audit = { lost: [], ghosts: [] };
  for (const [id, { acknowledged, possible }] of ledger.organizations) {
    const name = byId.get(id)?.organization_name;
    if (name !== acknowledged && !possible.has(name))
      found.lost.push(`organization ${id}: acknowledged as ${acknowledged}, found as ${name}`);
  }
  for (const [id, { organization_name: name }] of byId)
    if (![ledger, ...others].some((one) => one.mayExist(id, name)))
      found.ghosts.push(`organization ${id} (${name})`);
  for (const id of ledger.documents.keys()) await auditDocuments(db, byId.get(id), ledger, found);
  return found;
}

/** Adds the findings of one audit to those of another. */
export function merge(into: Audit, { lost, ghosts }: Audit): void {
  into.lost.push(...lost);
  into.ghosts.push(...ghosts);
}

/** As {@link audit}, of the documents as one node alone has them. */
export async function auditNode(node: MongodNode, db: Db, ledger: Ledger): Promise<Audit> {
  const client = new MongoClient(node.directUrl, { readPreference: 'secondaryPreferred' });
  try {
    return await audit(client.db(db.databaseName), ledger);
  } finally {
    await client.close();
  }
}

async function auditDocuments(
  db: Db,
  organization: Document | undefined,
  ledger: Ledger,
  found: Audit,
): Promise<void> {
  const id = String(organization?._id);
  const acknowledged = ledger.documents.get(id) ?? new Set();
  const sent = ledger.sent.get(id) ?? new Set();
  const stored = await db
    .collection(String(organization?.collection_name))
    .find({}, { projection: { document: 1 } })
    .toArray();
  const present = new Set<string>();
  for (const { document } of stored) {
    if (present.has(document)) found.ghosts.push(`document ${document} is there twice`);
    if (!sent.has(document)) found.ghosts.push(`document ${document} was not sent to ${id}`);
    present.add(document);
  }
  for (const document of acknowledged)
    if (!present.has(document)) found.lost.push(`document ${document}`);
}

/** The wait until nothing contradicts anything else. */
export interface Settling {
  /** What is left at the end: orphans and middle states. */
  orphans: string[];
  milliseconds: number;
}

/** Waits until the registry, collections and accounts agree and nothing is in a middle state, for 15 s at most. */
export async function settle(db: Db): Promise<Settling> {
  const startedAt = performance.now();
  for (;;) {
    const orphans = await contradictions(db).catch((error: unknown) => [`cannot look: ${error}`]);
    const milliseconds = Math.round(performance.now() - startedAt);
    if (orphans.length === 0 || milliseconds > SETTLE_LIMIT_MS) return { orphans, milliseconds };
    await delay(100);
  }
}
