import type { ObjectId } from 'mongodb';
import type { Clock } from '../clock.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import type { Quota, QuotaService } from './quota-service.ts';
import type { CollectionUsage, UsageStore } from './usage-store.ts';

/** What an organization uses, and may use. */
export interface Usage extends CollectionUsage {
  members: number;
  quota: Quota;
  measuredAt: Date;
}

interface UsageServiceDeps {
  usage: UsageStore;
  quotas: QuotaService;
  memberships: MembershipStore;
  clock: Clock;
}

/** What organizations use. */
export class UsageService {
  readonly #deps: UsageServiceDeps;

  constructor(deps: UsageServiceDeps) {
    this.#deps = deps;
  }

  /** From counters: as cheap for a million records as for one. @throws OrganizationNotFoundError, DatabaseUnavailableError */
  async of(organizationId: ObjectId): Promise<Usage> {
    const { usage, quotas, memberships, clock } = this.#deps;
    const measuredAt = clock.now();
    const [measured, members, quota] = await Promise.all([
      usage.measure(organizationId),
      memberships.countOf(organizationId),
      quotas.quotaOf(organizationId),
    ]);
    return { ...measured, members, quota, measuredAt };
  }
}
