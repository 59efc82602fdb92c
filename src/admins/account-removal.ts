import type { ObjectId } from 'mongodb';
import type { Belongings } from '../database/belongings.ts';
import { MEMBERSHIPS, type MembershipStore } from '../members/membership-store.ts';
import type { AdminStore } from './admin-store.ts';

interface AccountRemovalDeps {
  admins: AdminStore;
  memberships: MembershipStore;
  belongings: Belongings;
}

/** Removes the accounts of people who belong to no organization any more. */
export class AccountRemoval {
  readonly #deps: AccountRemovalDeps;

  constructor(deps: AccountRemovalDeps) {
    this.#deps = deps;
  }

  /**
   * Removes the account, and all that belongs to it, unless it belongs to an organization other than `leaving`. Decides
   * every race with someone giving the person a membership at the same time: either the account stays, or the giver learns
   * that it is gone (see {@link AdminStore.countMembership}). Idempotent.
   *
   * The membership in `leaving` stays the caller's to remove, afterwards: it leads whoever repeats this to the account.
   *
   * @returns whether the account is gone
   */
  async removeIfUnattached(adminId: ObjectId, leaving?: ObjectId): Promise<boolean> {
    const { admins, memberships, belongings } = this.#deps;
    for (;;) {
      const admin = await admins.findById(adminId);
      if (admin !== null) {
        if (await memberships.existsElsewhere(adminId, leaving)) return false;
        if (!(await admins.removeUnlessJoined(adminId, admin.membership_version))) continue;
      }
      // Also of one that is gone already: whoever removed it may have died before the rest.
      await belongings.eraseOf('admin', adminId, [MEMBERSHIPS]);
      return true;
    }
  }
}
