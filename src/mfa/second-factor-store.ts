import type { Binary, Collection, Filter, ObjectId } from 'mongodb';
import { pushChange } from '../admins/account-store.ts';
import type { AccountDocument } from '../admins/admin-document.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { PendingTotpDocument, TotpDocument } from './totp-document.ts';

/** So many uses are remembered: many more than one attempt and its repetitions can overlap with. */
const USES_KEPT = 20;

/** Which factor of which account. */
export interface FactorKey {
  adminId: ObjectId;
  factorId: ObjectId;
}

/**
 * Every query on second factors. They are part of the account's document, so that they go with it, and none can be left
 * on, or given to, an account that is gone.
 */
export class SecondFactorStore {
  readonly #accounts: Collection<AccountDocument>;

  /** @param accounts - of one kind */
  constructor(accounts: Collection<AccountDocument>) {
    this.#accounts = accounts;
  }

  /** Begins an enrolment in place of any before. @returns false when a factor is in force, or the account is gone */
  async setPending(adminId: ObjectId, pending: PendingTotpDocument): Promise<boolean> {
    const set = await retryTransient(() =>
      this.#accounts.updateOne(
        { _id: adminId, totp: { $exists: false } },
        { $set: { totp_pending: pending } },
        withinDeadline(),
      ),
    );
    return set.matchedCount === 1;
  }

  /**
   * Counts an attempt at confirming, before its code is looked at. After a lost answer it may be counted twice.
   *
   * @returns the enrolment, or null when there is none that may be tried
   */
  async takeAttempt(
    adminId: ObjectId,
    { now, most }: { now: Date; most: number },
  ): Promise<PendingTotpDocument | null> {
    const admin = await retryTransient(() =>
      this.#accounts.findOneAndUpdate(
        {
          _id: adminId,
          'totp_pending.expires_at': { $gt: now },
          'totp_pending.attempts': { $lt: most },
        },
        { $inc: { 'totp_pending.attempts': 1 } },
        { ...withinDeadline(), returnDocument: 'after' },
      ),
    );
    return admin?.totp_pending ?? null;
  }

  /**
   * Puts the enrolment of the same id in force, once. @returns false when it was replaced, or confirmed by another request
   *
   * @param useId - of this attempt; names the change of what the person signs in with, by which links that were asked for
   *   before are void
   * @param endsEra - whether the sessions that were begun before end with it
   */
  enable(
    adminId: ObjectId,
    factor: Omit<TotpDocument, 'uses'>,
    useId: ObjectId,
    endsEra: boolean,
  ): Promise<boolean> {
    const totp: TotpDocument = { ...factor, uses: [useId] };
    return this.#once({ adminId, factorId: totp.id }, useId, () =>
      this.#accounts.updateOne(
        { _id: adminId, 'totp_pending.id': totp.id, totp: { $exists: false } },
        {
          $set: { totp, updated_at: totp.enabled_at, ...(endsEra && { session_era: useId }) },
          $unset: { totp_pending: '' },
          $push: pushChange(useId),
        },
        withinDeadline(),
      ),
    );
  }

  /**
   * Uses up a time step and all before it, once. @returns false when it was used up already, or the factor is gone
   *
   * @param use - `id`: of this attempt; `secret`: the factor's, sealed anew, if it has to be
   */
  useStep(
    key: FactorKey,
    step: number,
    use: { id: ObjectId; secret?: Binary | undefined },
  ): Promise<boolean> {
    const fields = { 'totp.last_step': step, ...(use.secret && { 'totp.secret': use.secret }) };
    return this.#once(key, use.id, () =>
      this.#accounts.updateOne(
        { ...inForce(key), 'totp.last_step': { $lt: step } },
        { $set: fields, $push: pushUse(use.id) },
        withinDeadline(),
      ),
    );
  }

  /**
   * Uses up a recovery code, once. @returns false when there is no such code (any more)
   *
   * @param hashes - the forms the code may be stored in
   */
  useRecoveryCode(key: FactorKey, hashes: readonly string[], useId: ObjectId): Promise<boolean> {
    return this.#once(key, useId, () =>
      this.#accounts.updateOne(
        { ...inForce(key), 'totp.recovery_codes': { $in: hashes } },
        { $pullAll: { 'totp.recovery_codes': hashes }, $push: pushUse(useId) },
        withinDeadline(),
      ),
    );
  }

  /** @returns false when the factor is gone */
  async replaceRecoveryCodes(
    key: FactorKey,
    hashes: readonly string[],
    now: Date,
  ): Promise<boolean> {
    const replaced = await retryTransient(() =>
      this.#accounts.updateOne(
        inForce(key),
        { $set: { 'totp.recovery_codes': [...hashes], updated_at: now } },
        withinDeadline(),
      ),
    );
    return replaced.matchedCount === 1;
  }

  /**
   * Removes a factor with its recovery codes; one that is gone, or was replaced, is no fault.
   *
   * @param changeId, endsEra - as with {@link enable}
   */
  async disable(key: FactorKey, now: Date, changeId: ObjectId, endsEra: boolean): Promise<void> {
    await retryTransient(() =>
      this.#accounts.updateOne(
        inForce(key),
        {
          $unset: { totp: '' },
          $set: { updated_at: now, ...(endsEra && { session_era: changeId }) },
          $push: pushChange(changeId),
        },
        withinDeadline(),
      ),
    );
  }

  /** Does what may happen once. If it was done already, then perhaps by this very attempt, whose answer got lost. */
  #once(
    key: FactorKey,
    useId: ObjectId,
    update: () => Promise<{ matchedCount: number }>,
  ): Promise<boolean> {
    return retryTransient(async () => {
      if ((await update()).matchedCount === 1) return true;
      const own = { ...inForce(key), 'totp.uses': useId };
      return (await this.#accounts.countDocuments(own, withinDeadline())) === 1;
    });
  }
}

function inForce({ adminId, factorId }: FactorKey): Filter<AccountDocument> {
  return { _id: adminId, 'totp.id': factorId };
}

function pushUse(id: ObjectId) {
  return { 'totp.uses': { $each: [id], $position: 0, $slice: USES_KEPT } };
}
