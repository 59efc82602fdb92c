import { BSON } from 'mongodb';
import { exactOf } from '../records/record-bytes.ts';
import { etagOf } from '../records/record-etag.ts';
import type { RecordView } from '../records/record-reader.ts';
import type { TenantChange } from '../tenants/tenant-changes.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';

/** Records that are read at once, at most, and the bytes of their ids. */
export const MAX_GROUP = 32;
const MAX_ID_BYTES = 64 * 1_024;

/** After these there is nothing to read. */
const ENDS: ReadonlySet<TenantChange['type']> = new Set(['delete', 'drop']);

/** A record as it is by now. */
export interface ChangedRecord {
  document: RecordView;
  etag: string;
}

/** The records that some changes were made to. */
export class ChangedRecords {
  readonly #found: ReadonlyMap<string, ChangedRecord>;
  readonly #isComplete: boolean;

  private constructor(found: ReadonlyMap<string, ChangedRecord>, isComplete: boolean) {
    this.#found = found;
    this.#isComplete = isComplete;
  }

  /**
   * Reads them, through the fence, as they are by now: not as they were before the last of the changes, also if another node
   * has become the primary since (`afterClusterTime`).
   *
   * @param changes - at least one
   * @throws OrganizationNotFoundError, DatabaseUnavailableError
   */
  static async of(
    collection: TenantCollection,
    changes: readonly TenantChange[],
  ): Promise<ChangedRecords> {
    const ids = changes.filter(({ type }) => !ENDS.has(type)).map(({ id }) => id);
    if (ids.length === 0) return new ChangedRecords(new Map(), true);
    const readConcern = { level: 'majority', afterClusterTime: changes.at(-1)?.clusterTime };
    // With room for one more, only a batch that has reached 16 MiB is not the last. The rest is read with the next changes.
    const batchSize = ids.length + 1;
    const { documents, isLast } = await collection.commands.firstBatch((find) => ({
      ...{ find, filter: { _id: { $in: ids } }, batchSize, readConcern },
    }));
    return new ChangedRecords(new Map(documents.map(entryOf)), isLast);
  }

  /** @returns null for one that is gone; undefined when it has to be read again */
  recordOf({ type, id }: TenantChange): ChangedRecord | null | undefined {
    if (type === 'delete') return null;
    return this.#found.get(keyOf(id)) ?? (this.#isComplete ? null : undefined);
  }
}

/** The next changes whose records are read at once. @param most - how many, at most */
export function groupOf(changes: readonly TenantChange[], from: number, most: number) {
  let idBytes = 0;
  const group: TenantChange[] = [];
  for (const change of changes.slice(from, from + most)) {
    idBytes += BSON.calculateObjectSize({ id: change.id });
    if (group.length > 0 && idBytes > MAX_ID_BYTES) break;
    group.push(change);
  }
  return group;
}

function entryOf(bytes: Uint8Array): [string, ChangedRecord] {
  // As objects, the driver would change what looks like a reference, and with it the id.
  const document = exactOf(bytes);
  return [keyOf(document.get('_id')), { document, etag: etagOf(bytes) }];
}

function keyOf(id: unknown): string {
  return Buffer.from(BSON.serialize({ id })).toString('latin1');
}
