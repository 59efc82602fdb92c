import type { Collection, Filter, ObjectId } from 'mongodb';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { AccountDocument } from './admin-document.ts';
import { EmailTakenError } from './admin-errors.ts';

/** Of the changes of credentials so many are remembered: many more than can be made while an update is recovered. */
const CHANGES_KEPT = 20;
/** Of the networks a person signs in from so many are remembered. */
const NETWORKS_KEPT = 20;

type CredentialFields = Partial<Pick<AccountDocument, 'email' | 'password'>>;

/**
 * Every query on accounts that is the same for all kinds of them. Each kind has a collection of its own, with a unique index
 * on `email`, so an address may have an account of each.
 */
export class AccountStore<T extends AccountDocument = AccountDocument> {
  readonly #accounts: Collection<AccountDocument>;

  /** @param accounts - of one kind; what it holds beyond an account's fields is left alone */
  constructor(accounts: Collection<T>) {
    this.#accounts = accounts as unknown as Collection<AccountDocument>;
  }

  findById(id: ObjectId): Promise<T | null> {
    return retryTransient(() => this.#accounts.findOne<T>({ _id: id }, withinDeadline()));
  }

  /** In no order. */
  findMany(ids: readonly ObjectId[]): Promise<T[]> {
    return retryTransient(() =>
      this.#accounts.find<T>({ _id: { $in: [...ids] } }, withinDeadline()).toArray(),
    );
  }

  /** @param email - normalised */
  findByEmail(email: string): Promise<T | null> {
    return retryTransient(() => this.#accounts.findOne<T>({ email }, withinDeadline()));
  }

  /** Inserts an account; repeating it with the same id changes nothing. @throws EmailTakenError */
  async insert(account: T): Promise<void> {
    await refusingTakenEmail(() =>
      this.#accounts.updateOne(
        { _id: account._id },
        { $setOnInsert: account },
        { ...withinDeadline(), upsert: true },
      ),
    );
  }

  /** @returns the account as it is now, or null when it is gone */
  setName(id: ObjectId, name: string | null, now: Date): Promise<T | null> {
    return retryTransient(
      () =>
        this.#accounts.findOneAndUpdate(
          { _id: id },
          { $set: { name, updated_at: now } },
          { ...withinDeadline(), returnDocument: 'after' },
        ) as Promise<T | null>,
    );
  }

  /**
   * Changes e-mail or password on top of the change that was seen: of any number of changes decided on the same one, one
   * takes place. Idempotent.
   *
   * @param seen - see {@link lastChangeOf}
   * @param changeId - names this change
   * @returns false when another came first, or the account is gone
   * @throws EmailTakenError
   */
  async changeOnTopOf(
    id: ObjectId,
    seen: ObjectId | null,
    change: CredentialFields & Pick<AccountDocument, 'session_era'>,
    changeId: ObjectId,
    now: Date,
  ): Promise<boolean> {
    const changed = await refusingTakenEmail(() =>
      this.#accounts.updateOne(
        latestChange(id, seen),
        {
          $set: { ...change, updated_at: now },
          $push: pushChange(changeId),
          // Who began to enrol a factor in an era that is over has to begin again.
          ...(change.session_era && { $unset: { totp_pending: '' as const } }),
        },
        withinDeadline(),
      ),
    );
    if (changed.matchedCount === 1) return true;
    // The answer to a first attempt may have got lost.
    const made = (await this.findById(id))?.credential_changes ?? [];
    return made.some((one) => one.equals(changeId));
  }

  /** @returns the era a person's sessions have to be of; undefined when the account is gone */
  async eraOf(id: ObjectId): Promise<ObjectId | null | undefined> {
    const found = await retryTransient(() =>
      this.#accounts.findOne({ _id: id }, { ...withinDeadline(), projection: { session_era: 1 } }),
    );
    return found === null ? undefined : (found.session_era ?? null);
  }

  /** Replaces a hash by a stronger one of the same password, unless the password has changed meanwhile. */
  async upgradePassword(
    account: Pick<AccountDocument, '_id' | 'password'>,
    password: AccountDocument['password'],
  ): Promise<void> {
    await retryTransient(() =>
      this.#accounts.updateOne(
        { _id: account._id, 'password.hash': account.password.hash },
        { $set: { password } },
        withinDeadline(),
      ),
    );
  }

  /** Notes that the password was proved from a network. @param network - its keyed hash */
  async rememberNetwork(id: ObjectId, network: string, now: Date): Promise<void> {
    const known = { $ifNull: ['$known_networks', []] };
    const others = { $filter: { input: known, cond: { $ne: ['$$this.network', network] } } };
    const noted = { $concatArrays: [[{ network, proved_at: now }], others] };
    await retryTransient(() =>
      this.#accounts.updateOne(
        { _id: id },
        [{ $set: { known_networks: { $slice: [noted, NETWORKS_KEPT] } } }],
        withinDeadline(),
      ),
    );
  }
}

/** @param change - null for credentials that were never changed */
export function latestChange(id: ObjectId, change: ObjectId | null): Filter<AccountDocument> {
  return { _id: id, 'credential_changes.0': change };
}

/** The update operator that notes a change of what somebody signs in with. */
export function pushChange(id: ObjectId) {
  return { credential_changes: { $each: [id], $position: 0, $slice: CHANGES_KEPT } };
}

/** Makes a write that is repeatable. @throws EmailTakenError */
export async function refusingTakenEmail<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await retryTransient(write);
  } catch (error) {
    if (duplicateKeyField(error) === 'email') throw new EmailTakenError(error);
    throw error;
  }
}
