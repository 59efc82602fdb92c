import type { ObjectId } from 'mongodb';
import type { MembershipStore } from '../members/membership-store.ts';
import type { SessionStore } from '../sessions/session-store.ts';
import type { AdminStore } from './admin-store.ts';

/** Removes the accounts of people who belong to no organization any more. */
export class AccountRemoval {
  readonly #deps: { admins: AdminStore; memberships: MembershipStore; sessions: SessionStore };

  constructor(deps: { admins: AdminStore; memberships: MembershipStore; sessions: SessionStore }) {
    this.#deps = deps;
  }

  /**
   * Removes the account unless it belongs to an organization other than `leaving`. Decides every race with someone giving
   * the person a membership at the same time: either the account stays, or the giver learns that it is gone (see
   * {@link AdminStore.countMembership}). Idempotent.
   *
   * @returns whether the account is gone
   */
  async removeIfUnattached(adminId: ObjectId, leaving?: ObjectId): Promise<boolean> {
    const { admins, memberships, sessions } = this.#deps;
    for (;;) {
      const admin = await admins.findById(adminId);
      if (admin === null) return true;
      if (await memberships.existsElsewhere(adminId, leaving)) return false;
      if (await admins.removeUnlessJoined(adminId, admin.membership_version)) {
        await sessions.endAllOfAdmin(adminId);
        return true;
      }
    }
  }
}
