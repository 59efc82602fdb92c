import type { ObjectId } from 'mongodb';
import QuickLRU from 'quick-lru';
import type { AccessCache } from '../access/access-cache.ts';
import type { Clock } from '../clock.ts';
import type { QuotaDocument } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { type Excess, QuotaExceededError } from './quota-errors.ts';
import { type Amount, UsageLedger } from './usage-ledger.ts';
import type { UsageStore } from './usage-store.ts';

/** What an organization may use. Null: as much as it likes. */
export type Quota = Record<keyof QuotaDocument, number | null>;

export const NO_QUOTA: Quota = { max_records: null, max_bytes: null, max_members: null };

/** How old a measurement may be on which a write is let through. */
const MAX_AGE_MS = 1_000;
const MAX_LEDGERS = 10_000;
/** How often who finds no room waits for the writes before, some of which may fail or be counted twice. */
const PATIENCE = 50;

/** For whoever writes records. Bytes are those of documents as BSON; what replaces a document adds what it is larger. */
export interface RecordQuota {
  /**
   * Writes, if there is room; what is being written counts from before the write on. Costs nothing where there is no quota,
   * and otherwise a look at MongoDB's counters once a second.
   *
   * @throws QuotaExceededError; `write` was not called
   */
  withRoom<T>(organizationId: ObjectId, adding: Amount, write: () => Promise<T>): Promise<T>;
  /**
   * Writes as many of a row of records as there is room for, the first ones.
   *
   * @param adding - what each of them adds
   * @param write - is told how many; not called when there is room for none
   * @returns what `write` did with how many, and why the others were left out
   */
  withRoomForSome<T>(
    organizationId: ObjectId,
    adding: readonly Amount[],
    write: (count: number) => Promise<T>,
  ): Promise<PartlyWritten<T>>;
  /** Whether there is a limit on records or their bytes: only then it matters what is there already. */
  isLimited(organizationId: ObjectId): Promise<boolean>;
  /** Tells early that there is no room. @throws QuotaExceededError */
  assertRoom(organizationId: ObjectId, adding: Amount): Promise<void>;
}

/** What became of a row of records for which there may not have been room. */
export interface PartlyWritten<T> {
  count: number;
  /** Absent when nothing was written. */
  result?: T;
  /** Absent when all were. */
  refusal?: QuotaExceededError;
}

interface QuotaServiceDeps {
  registry: RegistryStore;
  usage: UsageStore;
  /** What operators have set, as this instance knows it. */
  quotas: AccessCache<QuotaDocument>;
  /** For what operators have not set. */
  defaults: Quota;
  clock: Clock;
}

/**
 * What organizations may use, and whether there is room. Exact for one instance; of several, each may go over by what the
 * others add within a second.
 */
export class QuotaService implements RecordQuota {
  readonly #deps: QuotaServiceDeps;
  readonly #ledgers = new QuickLRU<string, UsageLedger>({ maxSize: MAX_LEDGERS });

  constructor(deps: QuotaServiceDeps) {
    this.#deps = deps;
  }

  /** @returns the quota, at most a second old; @throws OrganizationNotFoundError */
  async quotaOf(organizationId: ObjectId): Promise<Quota> {
    const { quotas } = this.#deps;
    const set = await quotas.get(organizationId.toHexString(), async () => ({
      value: await this.#read(organizationId),
      dependsOn: [organizationId],
    }));
    return { ...this.#deps.defaults, ...set };
  }

  /** @returns the quota as it is now; @throws OrganizationNotFoundError */
  async currentQuotaOf(organizationId: ObjectId): Promise<Quota> {
    return { ...this.#deps.defaults, ...(await this.#read(organizationId)) };
  }

  /**
   * Sets what an organization may use, in place of what was set before. Less than it uses already takes nothing away: it
   * may not use more. Other instances learn of it within a second.
   *
   * @throws OrganizationNotFoundError
   */
  async set(organizationId: ObjectId, quota: QuotaDocument): Promise<void> {
    const { registry, quotas } = this.#deps;
    if (!(await registry.setQuota(organizationId, quota))) throw new OrganizationNotFoundError();
    quotas.invalidate([organizationId]);
  }

  async withRoom<T>(organizationId: ObjectId, adding: Amount, write: () => Promise<T>): Promise<T> {
    const end = await this.#whereRoom(organizationId, adding, (ledger) => ledger.begin(adding));
    try {
      return await write();
    } finally {
      end?.();
    }
  }

  async withRoomForSome<T>(
    organizationId: ObjectId,
    adding: readonly Amount[],
    write: (count: number) => Promise<T>,
  ): Promise<PartlyWritten<T>> {
    let count = adding.length;
    let refusal: QuotaExceededError | undefined;
    while (count > 0) {
      const some = count;
      try {
        const result = await this.withRoom(organizationId, sumOf(adding.slice(0, some)), () =>
          write(some),
        );
        return { count, result, ...(refusal && { refusal }) };
      } catch (error) {
        if (!(error instanceof QuotaExceededError)) throw error;
        refusal = error;
        // Fewer each time: meanwhile others may have taken what was left.
        count = Math.min(count - 1, countThatFits(adding, error.excesses));
      }
    }
    return { count: 0, ...(refusal && { refusal }) };
  }

  async isLimited(organizationId: ObjectId): Promise<boolean> {
    const { max_records, max_bytes } = await this.quotaOf(organizationId);
    return max_records !== null || max_bytes !== null;
  }

  async assertRoom(organizationId: ObjectId, adding: Amount): Promise<void> {
    await this.#whereRoom(organizationId, adding, () => {});
  }

  /**
   * @param take - called when there is room, with nothing in between that could take it first
   * @returns what it returns, or undefined when there is no quota
   * @throws QuotaExceededError
   */
  async #whereRoom<T>(
    organizationId: ObjectId,
    adding: Amount,
    take: (ledger: UsageLedger) => T,
  ): Promise<T | undefined> {
    const quota = await this.quotaOf(organizationId);
    if (adding.records <= 0 && adding.bytes <= 0) return undefined;
    if (quota.max_records === null && quota.max_bytes === null) return undefined;
    const ledger = this.#ledgerOf(organizationId);
    await ledger.refresh(MAX_AGE_MS);
    // Something may have been deleted within the second: nobody is refused by an old measurement.
    if (excessesOf(quota, ledger.total, adding).length > 0) await ledger.measureAnew();
    for (let waits = 0; ; waits += 1) {
      const excesses = excessesOf(quota, ledger.total, adding);
      if (excesses.length === 0) return take(ledger);
      if (ledger.isCertain || waits === PATIENCE) throw new QuotaExceededError(excesses);
      await ledger.writeEnd();
      await ledger.measureAnew();
    }
  }

  #ledgerOf(organizationId: ObjectId): UsageLedger {
    const key = organizationId.toHexString();
    const known = this.#ledgers.get(key);
    if (known !== undefined) return known;
    const { usage, clock } = this.#deps;
    const ledger = new UsageLedger({
      nowMs: () => clock.monotonicMs(),
      measure: async () => {
        const { max_bytes } = await this.quotaOf(organizationId);
        if (max_bytes !== null) return usage.measure(organizationId);
        return { records: await usage.count(organizationId), bytes: 0 };
      },
    });
    this.#ledgers.set(key, ledger);
    return ledger;
  }

  async #read(organizationId: ObjectId): Promise<QuotaDocument> {
    const quota = await this.#deps.registry.quotaOf(organizationId);
    if (quota === null) throw new OrganizationNotFoundError();
    return quota;
  }
}

function sumOf(amounts: readonly Amount[]): Amount {
  const sum = { records: 0, bytes: 0 };
  for (const { records, bytes } of amounts) {
    sum.records += records;
    sum.bytes += bytes;
  }
  return sum;
}

/** How many of the first there is room for, going by what a refusal tells. */
function countThatFits(adding: readonly Amount[], excesses: readonly Excess[]): number {
  const left = { records: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
  for (const { limit, allowed, used } of excesses) {
    if (limit === 'max_records') left.records = allowed - used;
    if (limit === 'max_bytes') left.bytes = allowed - used;
  }
  const tooMany = adding.findIndex(({ records, bytes }) => {
    left.records -= records;
    left.bytes -= bytes;
    return left.records < 0 || left.bytes < 0;
  });
  return tooMany === -1 ? adding.length : tooMany;
}

/** The limits that would be passed. What adds nothing to one is not refused for it. */
function excessesOf(quota: Quota, used: Amount, adding: Amount): Excess[] {
  const { max_records, max_bytes } = quota;
  const excesses: Excess[] = [];
  if (max_records !== null && adding.records > 0 && used.records + adding.records > max_records)
    excesses.push({
      limit: 'max_records',
      allowed: max_records,
      used: used.records,
      adding: adding.records,
    });
  if (max_bytes !== null && adding.bytes > 0 && used.bytes + adding.bytes > max_bytes)
    excesses.push({
      limit: 'max_bytes',
      allowed: max_bytes,
      used: used.bytes,
      adding: adding.bytes,
    });
  return excesses;
}
