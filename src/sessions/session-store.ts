import type { Collection, Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';

/** One sign-in on one device, in one organization, from login to its end. */
export interface SessionDocument {
  _id: ObjectId;
  admin_id: ObjectId;
  organization_id: ObjectId;
  /** SHA-256 of the refresh token that is valid now. */
  refresh_hash: string;
  /** SHA-256 of the one before: presenting it again is a sign of theft, but for a double submit just after. */
  previous_refresh_hash: string | null;
  rotated_at: Date;
  client: SessionClient;
  created_at: Date;
  /** When the session ends at the latest, however much it is used. */
  expires_at: Date;
}

/** What tells one client from another, as far as a request shows it. */
export interface SessionClient {
  address: string;
  user_agent: string | null;
}

export const SESSIONS: MasterCollection = {
  name: 'sessions',
  indexes: [
    { name: 'refresh_hash', key: { refresh_hash: 1 }, unique: true },
    {
      name: 'previous_refresh_hash',
      key: { previous_refresh_hash: 1 },
      partialFilterExpression: { previous_refresh_hash: { $type: 'string' } },
    },
    { name: 'admin', key: { admin_id: 1, _id: 1 } },
    { name: 'organization', key: { organization_id: 1 } },
    // TTL runs once a minute, so queries check the time as well.
    { name: 'expires_at', key: { expires_at: 1 }, expireAfterSeconds: 0 },
  ],
};

/** Every query on sessions. */
export class SessionStore {
  readonly #sessions: Collection<SessionDocument>;

  constructor(master: Db) {
    this.#sessions = masterCollection<SessionDocument>(master, SESSIONS);
  }

  async insert(session: SessionDocument): Promise<void> {
    await retryTransient(() =>
      this.#sessions.replaceOne({ _id: session._id }, session, {
        ...withinDeadline(),
        upsert: true,
      }),
    );
  }

  /** @returns the session unless it has ended or expired */
  findLive(id: ObjectId, now: Date): Promise<SessionDocument | null> {
    return retryTransient(() =>
      this.#sessions.findOne({ _id: id, expires_at: { $gt: now } }, withinDeadline()),
    );
  }

  /** @returns the live session whose current or previous refresh token has this hash */
  findByRefreshHash(hash: string, now: Date): Promise<SessionDocument | null> {
    return retryTransient(() =>
      this.#sessions.findOne(
        {
          $or: [{ refresh_hash: hash }, { previous_refresh_hash: hash }],
          expires_at: { $gt: now },
        },
        withinDeadline(),
      ),
    );
  }

  /** Replaces the refresh token by its successor, once. @returns the rotated session, or null if another was faster */
  rotate(
    id: ObjectId,
    from: string,
    to: { refresh_hash: string; rotated_at: Date; client: SessionClient },
  ): Promise<SessionDocument | null> {
    return retryTransient(() =>
      this.#sessions.findOneAndUpdate(
        { _id: id, refresh_hash: from },
        { $set: { ...to, previous_refresh_hash: from } },
        { ...withinDeadline(), returnDocument: 'after' },
      ),
    );
  }

  async end(id: ObjectId): Promise<void> {
    await retryTransient(() => this.#sessions.deleteOne({ _id: id }, withinDeadline()));
  }

  /** Ends a person's sessions, all but one. */
  async endOthers(adminId: ObjectId, keep: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#sessions.deleteMany({ admin_id: adminId, _id: { $ne: keep } }, withinDeadline()),
    );
  }

  async endAllOfOrganization(organizationId: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#sessions.deleteMany({ organization_id: organizationId }, withinDeadline()),
    );
  }

  async endAllOfAdmin(adminId: ObjectId): Promise<void> {
    await retryTransient(() => this.#sessions.deleteMany({ admin_id: adminId }, withinDeadline()));
  }
}
