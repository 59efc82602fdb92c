import type { AccountRemoval } from '../admins/account-removal.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import type { Logger } from '../logging/logger.ts';
import { retryWhileBusy } from '../retry-while-busy.ts';
import type { SessionStore } from '../sessions/session-store.ts';
import { LastOwnerError, MemberBusyError, MemberNotFoundError } from './member-errors.ts';
import type { MembershipDocument, MembershipStore } from './membership-store.ts';

/** Whoever began a change has ended it by then, or is gone. */
const INTERRUPTED_AFTER_MS = 3_000;

interface MemberChangesDeps {
  memberships: MembershipStore;
  admins: AdminStore;
  accounts: AccountRemoval;
  sessions: SessionStore;
  clock: Clock;
  ids: IdSource;
  logger: Logger;
}

/**
 * The changes of members that concern more than one document: each begins with a mark on a membership, goes on in steps
 * that can be repeated, and is finished by recovery if its instance dies. They hold on a standalone MongoDB as well.
 */
export class MemberChanges {
  readonly #deps: MemberChangesDeps;

  constructor(deps: MemberChangesDeps) {
    this.#deps = deps;
  }

  /**
   * Gives a member another role.
   *
   * @returns the membership as it is now, or null when it has changed since it was seen
   * @throws LastOwnerError
   */
  setRole(seen: MembershipDocument, role: string): Promise<MembershipDocument | null> {
    const { memberships } = this.#deps;
    if (seen.role !== 'owner' || role === 'owner') return memberships.setRole(seen, role);
    return this.#oneOwnerLess(seen, (stamp) => memberships.setRole(seen, role, stamp));
  }

  /**
   * Removes a member: from the mark on, no token opens the organization for them. Ends their sessions in it, and removes
   * the account of somebody who belongs nowhere else.
   *
   * @returns null when the membership has changed since it was seen; nothing was done
   * @throws LastOwnerError
   */
  async remove(seen: MembershipDocument): Promise<true | null> {
    const { memberships, clock } = this.#deps;
    const pending = { kind: 'remove' as const, since: clock.now() };
    const marked =
      seen.role === 'owner'
        ? await this.#oneOwnerLess(seen, (stamp) => memberships.begin(seen, pending, stamp))
        : await memberships.begin(seen, pending);
    if (marked === null) return null;
    await this.#finishRemoval(marked);
    return true;
  }

  /**
   * Makes a member an owner and the present owner an admin: both, or neither.
   *
   * @returns null when one of the memberships has changed since it was seen; nothing was done
   * @throws MemberNotFoundError, LastOwnerError
   */
  async transfer(from: MembershipDocument, to: MembershipDocument): Promise<true | null> {
    const { memberships, clock } = this.#deps;
    const begun = await memberships.begin(from, {
      ...{ kind: 'transfer', since: clock.now() },
      ...{ to: to._id, to_version: to.version },
    });
    return begun && this.#finishTransfer(begun);
  }

  /** Ends changes whose instance died. Idempotent; any number of instances may do it at once. */
  async finishInterrupted(): Promise<void> {
    const { memberships, clock, logger } = this.#deps;
    const before = new Date(clock.now().getTime() - INTERRUPTED_AFTER_MS);
    for (const membership of await memberships.findPending(before, ['remove', 'transfer'])) {
      const { pending, organization_id } = membership;
      const context = {
        change: pending?.kind,
        organization_id: organization_id.toHexString(),
      };
      try {
        if (pending?.kind === 'remove') await this.#finishRemoval(membership);
        else await this.#finishTransfer(membership);
        logger.warn(context, 'ended an interrupted change of a member');
      } catch (error) {
        logger.error({ ...context, err: error }, 'could not end a change of a member');
      }
    }
  }

  /** The account goes before the membership, so that a crash in between still leaves the way to it. */
  async #finishRemoval({ _id, admin_id, organization_id }: MembershipDocument): Promise<void> {
    const { memberships, admins, accounts, sessions } = this.#deps;
    await sessions.endAllOfMember(admin_id, organization_id);
    const gone = await accounts.removeIfUnattached(admin_id);
    if (!gone) await admins.forgetOrganization(admin_id, organization_id);
    await memberships.remove(_id);
  }

  async #finishTransfer(from: MembershipDocument): Promise<true | null> {
    const { memberships } = this.#deps;
    if (from.pending?.kind !== 'transfer') throw new Error('no transfer is under way');
    const { to, to_version } = from.pending;
    const target = await memberships.findById(to);
    if (target === null || target.pending?.kind === 'remove') {
      await memberships.abandon(from);
      throw new MemberNotFoundError();
    }
    if (target.role !== 'owner') {
      // Whoever changed the new owner's role since the transfer was decided on has the last word.
      const made =
        target.version === to_version ? await memberships.setRole(target, 'owner') : null;
      if (made === null && (await memberships.findById(to))?.role !== 'owner') {
        await memberships.abandon(from);
        return null;
      }
    }
    try {
      const demoted = await this.#oneOwnerLess(from, (stamp) =>
        memberships.setRole(from, 'admin', stamp),
      );
      if (demoted !== null) return true;
      // Somebody else took the giver's role meanwhile: then all of it has happened.
      return (await memberships.findById(from._id))?.role === 'owner' ? null : true;
    } catch (error) {
      await memberships.abandon(from);
      throw error;
    }
  }

  /**
   * Makes a change that leaves one owner less, provided that another owner stays.
   *
   * @returns null when the membership has changed since it was seen
   * @throws LastOwnerError
   */
  #oneOwnerLess(
    seen: MembershipDocument,
    change: (stamp: MembershipDocument['_id']) => Promise<MembershipDocument | null>,
  ): Promise<MembershipDocument | null> {
    const { memberships, ids } = this.#deps;
    const changedSince = { changed: null };
    return retryWhileBusy(
      async () => {
        const stamp = ids.objectId();
        const { owners, stamped } = await memberships.stampOwners(seen.organization_id, stamp);
        if (owners < 2) throw new LastOwnerError();
        const changed = stamped < 2 ? null : await change(stamp);
        if (changed !== null) return { changed };
        // Another stamp came in between; or the member itself was changed, and trying again is no use.
        const now = await memberships.findById(seen._id);
        return now?.version === seen.version ? null : changedSince;
      },
      () => new MemberBusyError(),
    ).then(({ changed }) => changed);
  }
}
