import type { Collection, Db, ObjectId } from 'mongodb';
import type { AccessChanged } from '../access/access-changes.ts';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { type AccountSessionDocument, AccountSessionStore } from './account-session-store.ts';

/** One sign-in of a person on one device, in one organization, from login to its end. */
export interface SessionDocument extends AccountSessionDocument {
  admin_id: ObjectId;
  organization_id: ObjectId;
}

export const SESSIONS: MasterCollection = {
  name: 'sessions',
  indexes: [
    { name: 'admin', key: { admin_id: 1, _id: 1 } },
    { name: 'organization', key: { organization_id: 1 } },
    // TTL runs once a minute, so queries check the time as well.
    { name: 'expires_at', key: { expires_at: 1 }, expireAfterSeconds: 0 },
    { name: 'idle_expires_at', key: { idle_expires_at: 1 }, expireAfterSeconds: 0 },
  ],
  belongsTo: [
    { field: 'organization_id', owner: 'organization' },
    { field: 'admin_id', owner: 'admin' },
  ],
};

/** Every query on sessions. */
export class SessionStore extends AccountSessionStore<SessionDocument> {
  readonly #sessions: Collection<SessionDocument>;
  readonly #changed: AccessChanged;

  constructor(master: Db, changed: AccessChanged) {
    const sessions = masterCollection<SessionDocument>(master, SESSIONS);
    super(sessions, 'admin_id', changed);
    this.#sessions = sessions;
    this.#changed = changed;
  }

  async endAllOfOrganization(organizationId: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#sessions.deleteMany({ organization_id: organizationId }, withinDeadline()),
    );
    this.#changed(organizationId);
  }

  /** Ends a person's sessions in one organization. */
  async endAllOfMember(adminId: ObjectId, organizationId: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#sessions.deleteMany(
        { admin_id: adminId, organization_id: organizationId },
        withinDeadline(),
      ),
    );
    this.#changed(adminId);
  }
}
