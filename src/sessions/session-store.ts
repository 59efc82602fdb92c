import type { Collection, Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';

/** One sign-in on one device, in one organization, from login to its end. */
export interface SessionDocument {
  _id: ObjectId;
  admin_id: ObjectId;
  organization_id: ObjectId;
  /** How often the session has been refreshed: only the refresh token of this generation is good. */
  refresh_generation: number;
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

  /** Moves on to the next refresh token, once. @returns the rotated session, or null if another was faster */
  rotate(
    id: ObjectId,
    from: number,
    by: Pick<SessionDocument, 'rotated_at' | 'client'>,
  ): Promise<SessionDocument | null> {
    return retryTransient(() =>
      this.#sessions.findOneAndUpdate(
        { _id: id, refresh_generation: from },
        { $set: { ...by, refresh_generation: from + 1 } },
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
