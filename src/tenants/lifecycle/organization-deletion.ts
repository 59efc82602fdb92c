import { MEMBERSHIPS, type MembershipDocument } from '../../members/membership-store.ts';
import {
  collectionReference,
  type OrganizationDocument,
} from '../../registry/organization-document.ts';
import { claimOf, type LifecycleDeps } from './lifecycle-deps.ts';
import { OperationLease } from './operation-lease.ts';

/** So many members are removed at once, at most; and one more for each so many there are. */
const MOST_AT_ONCE = 16;
const MEMBERS_EACH = 50;

/**
 * Deletes an organization in resumable steps. The first one makes it unreachable: from then on no token of it opens
 * anything, and recovery carries the deletion to its end, whatever happens. What a feature keeps about the organization
 * goes with it, if its collection says so in `belongsTo`.
 */
export class OrganizationDeletion {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /**
   * @param seen - the organization as looked up, active or suspended
   * @returns true when it is gone with everything that was its own and its names are free; false when it has changed since
   *   it was seen, and nothing was done
   * @throws OperationLostError, DatabaseUnavailableError when recovery will finish the deletion
   */
  async run(seen: OrganizationDocument): Promise<boolean> {
    const { operations, ids, instanceId } = this.#deps;
    const operation = { _id: ids.objectId(), kind: 'delete' as const, owner: instanceId };
    const begun = await operations.begin(seen, operation, { state: 'deleting' });
    if (begun === null) return false;
    await this.resume(begun);
    return true;
  }

  /** Carries a deletion that has begun to its end. Idempotent; for recovery as well. */
  async resume(organization: OrganizationDocument): Promise<void> {
    const { operations, collections, sessions, belongings, faults, logger } = this.#deps;
    const claim = claimOf(organization);
    using _lease = new OperationLease({ operations, claim, logger });
    await faults('delete:marked');
    const reference = collectionReference(organization);
    if (reference !== undefined) await collections.drop(reference);
    await faults('delete:collection-dropped');
    await sessions.endAllOfOrganization(organization._id);
    await faults('delete:sessions-ended');
    await this.#removeMembers(organization);
    await belongings.eraseOf('organization', organization._id, [MEMBERSHIPS]);
    await faults('delete:belongings-erased');
    await operations.remove(claim);
    await faults('delete:removed');
  }

  /** One by one for the few that most organizations have, some at a time for the thousands that some have. */
  async #removeMembers({ _id }: OrganizationDocument): Promise<void> {
    const all = await this.#deps.memberships.ofOrganization(_id);
    const atOnce = Math.min(MOST_AT_ONCE, Math.ceil(all.length / MEMBERS_EACH));
    for (let from = 0; from < all.length; from += atOnce)
      await Promise.all(all.slice(from, from + atOnce).map((one) => this.#removeMember(one)));
  }

  /** The account goes before the membership, so that a crash in between still leaves the way to it. */
  async #removeMember({ _id, admin_id, organization_id }: MembershipDocument): Promise<void> {
    const { memberships, accounts, faults } = this.#deps;
    await accounts.removeIfUnattached(admin_id, organization_id);
    await faults('delete:account-removed');
    await memberships.remove(_id);
    await faults('delete:membership-removed');
  }
}
