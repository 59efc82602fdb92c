import type { Binary, Collection, Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { literal } from '../database/update-pipeline.ts';

/** An answer, but for its body as it was sent; see {@link AnswerSeal}. */
export interface StoredAnswer {
  status: number;
  content_type: string;
  sealed_body: Binary;
}

/** One use of an `Idempotency-Key`. */
export interface IdempotencyDocument {
  /** Hash of the operation and the key. */
  _id: string;
  /** Keyed hash of the body: two requests are the same when it is. */
  fingerprint: string;
  /** The attempt that holds the key. */
  attempt_id: ObjectId;
  /**
   * The ids of what the attempts so far were to create, the present one's last. They are decided beforehand, so that a
   * later attempt can look whether an earlier one did it.
   */
  subject_ids: ObjectId[];
  /** The organization the request was made in. */
  organization_id?: ObjectId;
  /** Until then the attempt is taken to be running, by the database's clock. */
  locked_until: Date;
  answer: StoredAnswer | null;
  expires_at: Date;
}

export const IDEMPOTENCY_KEYS: MasterCollection = {
  name: 'idempotency_keys',
  indexes: [
    { name: 'expires_at', key: { expires_at: 1 }, expireAfterSeconds: 0 },
    { name: 'subjects', key: { subject_ids: 1 } },
    { name: 'organization', key: { organization_id: 1 }, sparse: true },
  ],
  // What an answer tells of an organization goes with it. A key may be of something else, or of what came to nothing.
  belongsTo: [
    { field: 'organization_id', owner: 'organization' },
    { field: 'subject_ids', owner: 'organization', early: true },
  ],
};

/** How long keys are kept (as with Stripe and WorkOS). */
const KEPT_MS = 24 * 60 * 60 * 1_000;
/** Longer than any attempt takes; a lifecycle lease has run out long before. */
const LOCK_MS = 30_000;

/** Every query on idempotency keys. Times are the database's own (`$$NOW`). */
export class IdempotencyStore {
  readonly #keys: Collection<IdempotencyDocument>;

  constructor(master: Db) {
    this.#keys = masterCollection<IdempotencyDocument>(master, IDEMPOTENCY_KEYS);
  }

  /**
   * Takes a key that nobody has used, or whose entry has expired.
   *
   * @returns the key's entry, which is the attempt's own if it took the key
   */
  async claim(
    id: string,
    entry: Pick<
      IdempotencyDocument,
      'fingerprint' | 'attempt_id' | 'subject_ids' | 'organization_id'
    >,
  ): Promise<IdempotencyDocument> {
    const taken = {
      _id: id,
      ...literal({ ...entry, answer: null }),
      ...lock,
      expires_at: { $add: ['$$NOW', KEPT_MS] },
    };
    // A missing `expires_at` compares as less than any date.
    const free = { $lt: ['$expires_at', '$$NOW'] };
    const found = await retryTransient(() =>
      this.#keys.findOneAndUpdate(
        { _id: id },
        [{ $replaceWith: { $cond: [free, taken, '$$ROOT'] } }],
        { ...withinDeadline(), upsert: true, returnDocument: 'after' },
      ),
    );
    if (found === null) throw new Error('an upsert returns a document');
    return found;
  }

  /** Takes a key over from an attempt that ended without an answer. @returns the entry, or null when it is still running */
  async takeOver(
    id: string,
    attemptId: ObjectId,
    subjectId: ObjectId,
  ): Promise<IdempotencyDocument | null> {
    const expired = { answer: null, $expr: { $lt: ['$locked_until', '$$NOW'] } };
    const taken = {
      ...literal({ attempt_id: attemptId }),
      subject_ids: { $concatArrays: ['$subject_ids', [subjectId]] },
      ...lock,
    };
    return retryTransient(async () => {
      const found = await this.#keys.findOneAndUpdate({ _id: id, ...expired }, [{ $set: taken }], {
        ...withinDeadline(),
        returnDocument: 'after',
      });
      // A retry after a lost answer finds the key taken by itself.
      return (
        found ??
        this.#keys.findOne({ _id: id, attempt_id: attemptId, answer: null }, withinDeadline())
      );
    });
  }

  /** Keeps the answer for those who ask again. */
  async complete(id: string, attemptId: ObjectId, answer: StoredAnswer): Promise<void> {
    await retryTransient(() =>
      this.#keys.updateOne(
        { _id: id, attempt_id: attemptId },
        { $set: { answer } },
        withinDeadline(),
      ),
    );
  }

  /** Forgets an attempt that came to nothing, so that the same request can be made again. */
  async release(id: string, attemptId: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#keys.deleteOne({ _id: id, attempt_id: attemptId, answer: null }, withinDeadline()),
    );
  }

  /**
   * Ends an attempt of which nobody knows what it did, so that the next one takes over at once, and knows what this one
   * may have made.
   */
  async giveUp(id: string, attemptId: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#keys.updateOne(
        { _id: id, attempt_id: attemptId, answer: null },
        { $set: { locked_until: new Date(0) } },
        withinDeadline(),
      ),
    );
  }

  /** Forgets the answers about something that is gone, as far as they do not go with its organization. */
  async eraseSubject(subjectId: ObjectId): Promise<void> {
    await retryTransient(() => this.#keys.deleteMany({ subject_ids: subjectId }, withinDeadline()));
  }
}

const lock = { locked_until: { $add: ['$$NOW', LOCK_MS] } };
