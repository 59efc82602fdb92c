import type { ObjectId } from 'mongodb';
import type { MembershipStore } from '../members/membership-store.ts';
import { QuotaExceededError } from './quota-errors.ts';
import type { QuotaService } from './quota-service.ts';

/**
 * How many members an organization may have. Never more, however many join at once on however many instances: each writes
 * its membership first and counts then, so of those who would be too many the last to write sees all the others.
 */
export class MemberQuota {
  readonly #deps: { quotas: QuotaService; memberships: MembershipStore };

  constructor(deps: { quotas: QuotaService; memberships: MembershipStore }) {
    this.#deps = deps;
  }

  /** Tells early that there is no room. @throws QuotaExceededError, OrganizationNotFoundError */
  async assertRoom(organizationId: ObjectId): Promise<void> {
    const { quotas, memberships } = this.#deps;
    const { max_members } = await quotas.currentQuotaOf(organizationId);
    if (max_members === null) return;
    assertBelow(max_members, await memberships.countOf(organizationId));
  }

  /**
   * Whether somebody who is just joining may stay.
   *
   * @param membershipId - of the membership that has been written for it
   * @returns false when that depends on others who are joining or leaving: ask again when they have
   * @throws QuotaExceededError, OrganizationNotFoundError
   */
  async admits(organizationId: ObjectId, membershipId: ObjectId | undefined): Promise<boolean> {
    const { quotas, memberships } = this.#deps;
    const { max_members } = await quotas.currentQuotaOf(organizationId);
    if (max_members === null || membershipId === undefined) return true;
    const others = await memberships.countBeside(organizationId, membershipId);
    if (others < max_members) return true;
    assertBelow(max_members, await memberships.countOf(organizationId));
    return false;
  }
}

function assertBelow(allowed: number, used: number): void {
  if (used >= allowed)
    throw new QuotaExceededError([{ limit: 'max_members', allowed, used, adding: 1 }]);
}
