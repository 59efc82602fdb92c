import { BSON, type Document, Long } from 'mongodb';
import type { TenantChange } from '../tenants/tenant-changes.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';

/** Records that are read at once, at most, and the bytes of their ids. */
export const MAX_GROUP = 32;
const MAX_ID_BYTES = 64 * 1_024;

/** After these there is nothing to read. */
const ENDS: ReadonlySet<TenantChange['type']> = new Set(['delete', 'drop']);

/** The records that some changes were made to. */
export class ChangedRecords {
  readonly #found: ReadonlyMap<string, Document>;
  readonly #isComplete: boolean;

  private constructor(found: ReadonlyMap<string, Document>, isComplete: boolean) {
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
    const { cursor } = await collection.commands.run(
      (find) => ({ find, filter: { _id: { $in: ids } }, batchSize: ids.length + 1, readConcern }),
      { write: false },
    );
    const documents: Document[] = cursor.firstBatch;
    // With room for one more, only a batch that has reached 16 MiB is not the last. The rest is read with the next changes.
    const isComplete = Long.ZERO.equals(cursor.id);
    if (!isComplete) void forget(collection, cursor.id);
    return new ChangedRecords(
      new Map(documents.map((document) => [keyOf(document._id), document])),
      isComplete,
    );
  }

  /** @returns null for one that is gone; undefined when it has to be read again */
  recordOf({ type, id }: TenantChange): Document | null | undefined {
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

async function forget({ commands }: TenantCollection, id: unknown): Promise<void> {
  const command = { killCursors: commands.name, cursors: [id] };
  // What cannot be told now the server ends by itself after ten minutes.
  await commands.client
    .db(commands.reference.database)
    .command(command)
    .catch(() => {});
}

function keyOf(id: unknown): string {
  return Buffer.from(BSON.serialize({ id })).toString('latin1');
}
