import type { Collection, Db, Document, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';

/** How often something has happened lately. Holds neither addresses nor accounts: see `LimitKeys`. */
export interface RateLimitDocument {
  /** Keyed hash of what is counted, and of whom. */
  _id: string;
  /** Keyed hash of the account, where the count is about one. */
  account?: string;
  count: number;
  /** What was counted last, by which a repeated write is known. */
  attempts: ObjectId[];
  /** Until then nothing more is let through. */
  blocked_until: Date | null;
  /** When the count is forgotten. */
  expires_at: Date;
}

/** A count as it is after a write. */
export type Count = Pick<RateLimitDocument, 'count' | 'attempts' | 'blocked_until' | 'expires_at'>;

/** What is counted: by this key, about this account. */
export interface Counted {
  key: string;
  account?: string;
}

/** How many attempts there may be in a window. */
export interface WindowRule {
  quota: number;
  windowSeconds: number;
}

/** When one attempt too many blocks, and for how long. Times are in milliseconds. */
export interface BlockRule {
  /** So many attempts are free. */
  budget: number;
  /** How long the attempt that uses up the budget blocks, and each one after it; the last one holds for all further. */
  blocksMs: readonly [number, ...number[]];
  /** Without attempts the count is forgotten after so long. */
  memoryMs: number;
}

export const RATE_LIMITS: MasterCollection = {
  name: 'rate_limits',
  indexes: [
    { name: 'account', key: { account: 1 }, sparse: true },
    // TTL runs once a minute, so queries check the time as well.
    { name: 'expires_at', key: { expires_at: 1 }, expireAfterSeconds: 0 },
  ],
};

/** So many attempts are remembered by id: more than are under way at one time. */
const ATTEMPTS_KEPT = 100;

/**
 * Every query on counts. Each change is one update of one document, so that however many instances count at once, none is
 * lost and no budget overdrawn; and each names the attempt, so that repeating it changes nothing.
 */
export class RateLimitStore {
  readonly #counts: Collection<RateLimitDocument>;

  constructor(master: Db) {
    this.#counts = masterCollection<RateLimitDocument>(master, RATE_LIMITS);
  }

  /**
   * Counts an attempt in a window that began with the first one. Past the quota it counts no further, so that a flood that
   * is refused writes nothing.
   *
   * @returns the count with it: more than the quota if it was one too many
   */
  count(counted: Counted, attempt: ObjectId, rule: WindowRule, now: Date): Promise<Count> {
    const { known, living, counting } = seen(attempt, now);
    const full = { $and: [living, { $gt: ['$count', rule.quota] }] };
    const ends = new Date(now.getTime() + rule.windowSeconds * 1_000);
    const expires_at = { $cond: [living, '$expires_at', ends] };
    const after = { ...counting, ...about(counted), blocked_until: null, expires_at };
    return this.#change(counted.key, unless({ $or: [known, full] }, after));
  }

  /**
   * Lets an attempt through and counts it, unless the key is blocked. The attempt that uses up the budget, and each one
   * after it, blocks the key at once: it is the last one until it is taken back, or the time has passed.
   *
   * @returns the count, whose `attempts` hold this one if it was let through
   */
  reserve(counted: Counted, attempt: ObjectId, rule: BlockRule, now: Date): Promise<Count> {
    const { known, living, counting } = seen(attempt, now);
    const blocked = { $and: [living, { $gt: ['$blocked_until', now] }] };
    const after = { ...counting, ...about(counted) };
    const over = { $subtract: ['$count', rule.budget] };
    const durations = [...rule.blocksMs];
    const duration = { $arrayElemAt: [durations, { $min: [over, durations.length - 1] }] };
    const blocked_until = { $cond: [{ $lt: [over, 0] }, null, { $add: [now, duration] }] };
    const expires_at = { $add: [{ $ifNull: ['$blocked_until', now] }, rule.memoryMs] };
    return this.#change(counted.key, [
      { $set: { refused: { $or: [known, blocked] } } },
      ...unless('$refused', after),
      ...unless('$refused', { blocked_until }),
      ...unless('$refused', { expires_at }),
      { $unset: 'refused' },
    ]);
  }

  /** Takes an attempt back, and the block with it if it was the attempt's. */
  async giveBack(key: string, attempt: ObjectId, budget: number): Promise<void> {
    const count = { $subtract: ['$count', 1] };
    const isLast = { $eq: [{ $last: '$attempts' }, attempt] };
    const freed = { $or: [isLast, { $lt: [count, budget] }] };
    const attempts = { $filter: { input: '$attempts', cond: { $ne: ['$$this', attempt] } } };
    const blocked_until = { $cond: [freed, null, '$blocked_until'] };
    await retryTransient(() =>
      this.#counts.updateOne(
        { _id: key, attempts: attempt },
        [{ $set: { count, attempts, blocked_until } }],
        withinDeadline(),
      ),
    );
  }

  /** @returns the counts there are under these keys */
  async read(keys: readonly string[], now: Date): Promise<Map<string, Count>> {
    const found = await retryTransient(() =>
      this.#counts
        .find({ _id: { $in: [...keys] }, expires_at: { $gt: now } }, withinDeadline())
        .toArray(),
    );
    return new Map(found.map((one) => [one._id, one]));
  }

  async forget(key: string): Promise<void> {
    await retryTransient(() => this.#counts.deleteOne({ _id: key }, withinDeadline()));
  }

  /** Forgets every count about an account. @param account - its keyed hash */
  async forgetAccount(account: string): Promise<void> {
    await retryTransient(() => this.#counts.deleteMany({ account }, withinDeadline()));
  }

  async #change(_id: string, pipeline: Document[]): Promise<Count> {
    const changed = await retryTransient(() =>
      again(() =>
        this.#counts.findOneAndUpdate({ _id }, pipeline, {
          ...withinDeadline(),
          upsert: true,
          returnDocument: 'after',
        }),
      ),
    );
    if (changed === null) throw new Error('an upsert returns a document');
    return changed;
  }
}

/** What an update needs to know about the document it finds, which may be none or a forgotten one. */
function seen(attempt: ObjectId, now: Date) {
  // A missing `expires_at` compares as less than any date.
  const living = { $gt: ['$expires_at', now] };
  const known = { $and: [living, { $in: [attempt, { $ifNull: ['$attempts', []] }] }] };
  const attempts = { $cond: [living, '$attempts', []] };
  const counting = {
    count: { $cond: [living, { $add: ['$count', 1] }, 1] },
    attempts: { $slice: [{ $concatArrays: [attempts, [attempt]] }, -ATTEMPTS_KEPT] },
  };
  return { living, known, counting };
}

function unless(condition: unknown, fields: Document): Document[] {
  const kept = Object.entries(fields).map(([name, value]) => [
    name,
    { $cond: [condition, `$${name}`, value] },
  ]);
  return [{ $set: Object.fromEntries(kept) }];
}

function about({ account }: Counted): Document {
  return account === undefined ? {} : { account: { $literal: account } };
}

/** Two upserts of a new document may collide in spite of the server's own second try; then it is there. */
async function again<T>(upsert: () => Promise<T>): Promise<T> {
  try {
    return await upsert();
  } catch (error) {
    if (duplicateKeyField(error) === undefined) throw error;
    return upsert();
  }
}
