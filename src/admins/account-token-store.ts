import type { Collection, Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';

/**
 * What a link in a mail may do with an account. It changes e-mail or password on top of the change of credentials that was
 * the latest when it was sent. That is what makes it good for one use, and worthless after any other change of them.
 */
export interface AccountTokenDocument {
  _id: ObjectId;
  admin_id: ObjectId;
  token_hash: string;
  /** See `lastChangeOf` in `admin-document.ts`. */
  credential_change: ObjectId | null;
  /** The address to be confirmed, of a change of e-mail. */
  email?: string;
  created_at: Date;
  expires_at: Date;
}

export const PASSWORD_RESETS: MasterCollection = accountTokens('password_resets');
export const EMAIL_CHANGES: MasterCollection = accountTokens('email_changes');

function accountTokens(name: string): MasterCollection {
  return {
    name,
    indexes: [
      { name: 'admin', key: { admin_id: 1 }, unique: true },
      { name: 'token', key: { token_hash: 1 }, unique: true },
      // TTL runs once a minute, so queries check the time as well.
      { name: 'expires_at', key: { expires_at: 1 }, expireAfterSeconds: 0 },
    ],
    belongsTo: [{ field: 'admin_id', owner: 'admin' }],
  };
}

/** Every query on one kind of account tokens. A person has one at most: the latest. */
export abstract class AccountTokenStore {
  readonly #tokens: Collection<AccountTokenDocument>;

  constructor(tokens: Collection<AccountTokenDocument>) {
    this.#tokens = tokens;
  }

  /** Takes the place of the person's last one. */
  async put({ _id, admin_id, ...rest }: AccountTokenDocument): Promise<void> {
    await retryTransient(() =>
      this.#tokens.updateOne(
        { admin_id },
        { $set: rest, $setOnInsert: { _id } },
        { ...withinDeadline(), upsert: true },
      ),
    );
  }

  /** @returns what the token stands for, unless it has expired */
  findGood(hash: string, now: Date): Promise<AccountTokenDocument | null> {
    return retryTransient(() =>
      this.#tokens.findOne({ token_hash: hash, expires_at: { $gt: now } }, withinDeadline()),
    );
  }

  /** @returns the person's, unless it has expired */
  findOf(adminId: ObjectId, now: Date): Promise<AccountTokenDocument | null> {
    return retryTransient(() =>
      this.#tokens.findOne({ admin_id: adminId, expires_at: { $gt: now } }, withinDeadline()),
    );
  }

  /** Removes the person's. @param hash - only this one */
  async remove(adminId: ObjectId, hash?: string): Promise<void> {
    const filter = { admin_id: adminId, ...(hash !== undefined && { token_hash: hash }) };
    await retryTransient(() => this.#tokens.deleteOne(filter, withinDeadline()));
  }
}

export class PasswordResetStore extends AccountTokenStore {
  constructor(master: Db) {
    super(masterCollection<AccountTokenDocument>(master, PASSWORD_RESETS));
  }
}

export class EmailChangeStore extends AccountTokenStore {
  constructor(master: Db) {
    super(masterCollection<AccountTokenDocument>(master, EMAIL_CHANGES));
  }
}
