import type { Db, ObjectId } from 'mongodb';
import { type MasterCollection, masterCollection } from '../database/collections.ts';
import {
  type AccountSessionDocument,
  AccountSessionStore,
} from '../sessions/account-session-store.ts';

/** A sign-in of an operator on one device. It is in no organization. */
export interface OperatorSessionDocument extends AccountSessionDocument {
  operator_id: ObjectId;
}

export const OPERATOR_SESSIONS: MasterCollection = {
  name: 'operator_sessions',
  indexes: [
    { name: 'operator', key: { operator_id: 1, _id: 1 } },
    // TTL runs once a minute, so queries check the time as well.
    { name: 'expires_at', key: { expires_at: 1 }, expireAfterSeconds: 0 },
    { name: 'idle_expires_at', key: { idle_expires_at: 1 }, expireAfterSeconds: 0 },
  ],
};

/** Every query on operators' sessions. Nothing remembers them: who they are is asked of the database each time. */
export class OperatorSessionStore extends AccountSessionStore<OperatorSessionDocument> {
  constructor(master: Db) {
    const nobody = () => {};
    super(
      masterCollection<OperatorSessionDocument>(master, OPERATOR_SESSIONS),
      'operator_id',
      nobody,
    );
  }
}
