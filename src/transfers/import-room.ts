import { BSON, type ObjectId } from 'mongodb';
import type { TenantCollection } from '../tenants/tenant-collection.ts';
import type { RecordQuota } from '../usage/quota-service.ts';
import type { Amount } from '../usage/usage-ledger.ts';
import type { ImportedDocument, ImportMode, WrittenBatch } from './import-writer.ts';

interface ImportRoomDeps {
  collection: TenantCollection;
  quota: RecordQuota;
  organizationId: ObjectId;
}

/** Lets as much of an import in as the organization's quota has room for. */
export class ImportRoom {
  readonly #deps: ImportRoomDeps;

  constructor(deps: ImportRoomDeps) {
    this.#deps = deps;
  }

  /**
   * Writes the records of a batch for which there is room, the first ones; the others are refused with `quota_exceeded`.
   *
   * @param write - stores some of the batch
   */
  async fill(
    batch: readonly ImportedDocument[],
    mode: ImportMode,
    write: (some: readonly ImportedDocument[]) => Promise<WrittenBatch>,
  ): Promise<WrittenBatch> {
    const { quota, organizationId } = this.#deps;
    if (!(await quota.isLimited(organizationId))) return write(batch);
    const adding = await this.#amountsOf(batch, mode);
    const {
      count,
      result = { inserted: 0, replaced: 0, refused: [] },
      refusal,
    } = await quota.withRoomForSome(organizationId, adding, (some) => write(batch.slice(0, some)));
    if (refusal === undefined) return result;
    const left = batch.slice(count).map(({ line }) => ({ line, error: refusal }));
    return { ...result, refused: [...result.refused, ...left] };
  }

  /** What each adds: one that takes the place of another, what it is larger. */
  async #amountsOf(batch: readonly ImportedDocument[], mode: ImportMode): Promise<Amount[]> {
    const sizes = mode === 'insert' ? [] : await this.#sizesOfExisting(batch);
    return batch.map(({ document }, at) => {
      const bytes = BSON.calculateObjectSize(document);
      const before = sizes[at];
      if (before !== undefined) return { records: 0, bytes: Math.max(0, bytes - before) };
      return { records: mode === 'replace' ? 0 : 1, bytes };
    });
  }

  /** @returns the sizes of those that exist, at the place of the one that will replace them */
  async #sizesOfExisting(batch: readonly ImportedDocument[]): Promise<(number | undefined)[]> {
    const ids = batch.map(({ document: { _id = null } }) => _id);
    const found = await this.#deps.collection.aggregate([
      { $match: { _id: { $in: ids } } },
      // The server compares, by its own rules: to it 1 and 1.0 are one `_id`.
      {
        $project: {
          _id: 0,
          at: { $indexOfArray: [{ $literal: ids }, '$_id'] },
          size: { $bsonSize: '$$ROOT' },
        },
      },
    ]);
    const sizes: (number | undefined)[] = [];
    for (const { at, size } of found) sizes[Number(at)] = Number(size);
    return sizes;
  }
}
