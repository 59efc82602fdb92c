import { ObjectId } from 'mongodb';
import type { AccountRemoval } from '../admins/account-removal.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import type { Belongings } from '../database/belongings.ts';
import type { Logger } from '../logging/logger.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import {
  collectionReference,
  type OrganizationDocument,
} from '../registry/organization-document.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { OrganizationUpdate } from './lifecycle/organization-update.ts';
import type { FoundCollection, TenantCollections } from './tenant-collections.ts';

/** No operation takes this long: what is this old and belongs to nothing was left over. */
const LEFT_OVER_AFTER_MS = 60 * 60 * 1_000;

/** What a reconciliation found; all zero when the registry and the database agree. */
export interface ReconciliationReport {
  /** Empty collections of organizations that do not exist; dropped. */
  dropped: number;
  /** Collections with documents of organizations that do not exist; left for an operator. */
  orphaned: number;
  /** Collections that had another name than the registry's; renamed. */
  realigned: number;
  /** Organizations whose collection is gone; left for an operator. */
  missing: number;
  /** Documents of the master database that belonged to nothing; removed, or no longer say so. */
  removed: number;
}

interface ReconciliationDeps {
  registry: RegistryStore;
  collections: TenantCollections;
  update: OrganizationUpdate;
  memberships: MembershipStore;
  admins: AdminStore;
  accounts: AccountRemoval;
  belongings: Belongings;
  clock: Clock;
  logger: Logger;
  tenantDatabase: string;
}

/**
 * Compares the registry with the collections that exist, and with all that belongs to an organization or an admin, and mends what no operation is
 * responsible for any more. Recovery ends what a crash leaves; this ends what an instance does that was paused between
 * checking its lease and acting on it, and crashed before it could notice. Never drops a collection that holds a document.
 */
export class Reconciliation {
  readonly #deps: ReconciliationDeps;

  constructor(deps: ReconciliationDeps) {
    this.#deps = deps;
  }

  /** Idempotent; several instances may run it at the same time. @throws DatabaseUnavailableError */
  async run(): Promise<ReconciliationReport> {
    // Listed before the registry is read: an organization is registered before its collection is made.
    const listed = await this.#deps.collections.list(this.#deps.tenantDatabase);
    const report = { dropped: 0, orphaned: 0, realigned: 0, missing: 0, removed: 0 };
    await this.#dropOrphans(listed, report);
    await this.#realign(listed, report);
    const before = new Date(this.#deps.clock.now().getTime() - LEFT_OVER_AFTER_MS);
    await this.#removeUnattached(report, before);
    await this.#removeOrphans(report, before);
    return report;
  }

  async #dropOrphans(listed: readonly FoundCollection[], report: ReconciliationReport) {
    const { registry, collections, logger, tenantDatabase: database } = this.#deps;
    for (const { name, uuid, organizationId } of listed) {
      if (organizationId === undefined || !ObjectId.isValid(organizationId)) continue;
      if ((await registry.findById(new ObjectId(organizationId))) !== null) continue;
      const context = { collection: name, organization_id: organizationId };
      const outcome = await collections.dropIfEmpty({ database, name, uuid });
      if (outcome === 'dropped') {
        report.dropped += 1;
        logger.warn(context, 'dropped the empty collection of an organization that does not exist');
      } else if (outcome === 'kept') {
        report.orphaned += 1;
        logger.error(
          context,
          'a collection holds documents of an organization that does not exist',
        );
      }
    }
  }

  async #realign(listed: readonly FoundCollection[], report: ReconciliationReport): Promise<void> {
    const { registry, update, logger } = this.#deps;
    const names = new Map(listed.map(({ uuid, name }) => [uuid.toHexString(), name]));
    for await (const organization of registry.settled()) {
      const { _id, collection_name, collection_uuid } = organization;
      const actual = collection_uuid && names.get(collection_uuid.toHexString());
      if (actual === collection_name) continue;
      // Made after the list was taken, dropped behind our back, or moved: only the database can tell now.
      const found = await this.#locate(organization);
      if (found === collection_name) continue;
      const context = { organization_id: _id.toHexString(), collection: collection_name, found };
      if (found === null) {
        // Deleted in the meantime, as it should be.
        if (!(await registry.isUnchanged(organization))) continue;
        report.missing += 1;
        logger.error(context, "an organization's collection does not exist");
      } else if (await update.realign(organization, found)) {
        report.realigned += 1;
        logger.warn(context, "gave an organization's collection its name back");
      }
    }
  }

  async #removeUnattached(report: ReconciliationReport, before: Date): Promise<void> {
    const { memberships, admins, accounts, logger } = this.#deps;
    const leftOver = await memberships.ofMissingOrganizations();
    for (const { _id, admin_id } of leftOver) {
      if (await memberships.remove(_id)) report.removed += 1;
      await accounts.removeIfUnattached(admin_id);
    }
    for (const adminId of await admins.unattached(before)) {
      if (await accounts.removeIfUnattached(adminId)) report.removed += 1;
    }
    if (report.removed > 0)
      logger.warn(
        { removed: report.removed },
        'removed memberships and accounts that belonged to nothing',
      );
  }

  async #removeOrphans(report: ReconciliationReport, before: Date): Promise<void> {
    const { belongings, logger } = this.#deps;
    const counts = await belongings.eraseOrphans(before);
    const removed = Object.values(counts).reduce((sum, count) => sum + count, 0);
    report.removed += removed;
    if (removed > 0)
      logger.warn({ removed: counts }, 'removed what belonged to owners that do not exist');
  }

  /** @returns the name the organization's collection has now, or null when it does not exist */
  async #locate(organization: OrganizationDocument): Promise<string | null> {
    const reference = collectionReference(organization);
    return reference === undefined ? null : this.#deps.collections.locate(reference);
  }
}
