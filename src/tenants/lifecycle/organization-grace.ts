import type { OrganizationDocument } from '../../registry/organization-document.ts';
import type { LifecycleDeps } from './lifecycle-deps.ts';
import type { OrganizationDeletion } from './organization-deletion.ts';

/** So many organizations are looked up at a time to be purged. */
const BATCH = 100;

/** What became of an organization that was to be deleted. */
export interface DeletedOrganization {
  organization: OrganizationDocument;
  /** Until then it can be restored; null: it is gone. */
  purgeAt: Date | null;
}

interface OrganizationGraceDeps
  extends Pick<LifecycleDeps, 'registry' | 'sessions' | 'faults' | 'ids' | 'logger'> {
  deletion: OrganizationDeletion;
  /** How long a deleted organization can be restored, in milliseconds; 0: not at all. */
  graceMs: number;
}

/**
 * Deletes organizations for good at the end of a grace period. Until then a deleted organization is a state to rest in, not
 * an operation: nothing of it answers and its sessions end, but nothing else of it has changed, and its names are its own. One
 * update begins that state, and one ends it, so a crash leaves either the one or the other.
 */
export class OrganizationGrace {
  readonly #deps: OrganizationGraceDeps;

  constructor(deps: OrganizationGraceDeps) {
    this.#deps = deps;
  }

  /**
   * @param seen - the organization as looked up, active or suspended; with `now` also one that was deleted before
   * @param now - whether it is to be gone at once, in spite of the grace period
   * @returns null when it has changed since it was seen, and nothing was done
   * @throws OperationLostError, DatabaseUnavailableError when recovery will finish the deletion
   */
  async delete(seen: OrganizationDocument, now = false): Promise<DeletedOrganization | null> {
    const { registry, sessions, deletion, faults, ids, graceMs } = this.#deps;
    if (now || graceMs === 0)
      return (await deletion.run(seen)) ? { organization: seen, purgeAt: null } : null;
    const marked = await registry.markDeleted(seen, ids.objectId(), graceMs);
    if (marked === null) return null;
    await faults('grace:marked');
    // They open nothing any more; and they must not when it is restored.
    await sessions.endAllOfOrganization(seen._id);
    await faults('grace:sessions-ended');
    return { organization: marked, purgeAt: marked.deletion?.purge_at ?? null };
  }

  /**
   * Brings a deleted organization back as it was, but for its sessions.
   *
   * @returns null when it has changed since it was seen, or its grace period is over
   */
  async restore(seen: OrganizationDocument): Promise<OrganizationDocument | null> {
    const { registry, sessions, faults } = this.#deps;
    // Whoever deleted it may have died before this.
    await sessions.endAllOfOrganization(seen._id);
    await faults('restore:sessions-ended');
    const restored = await registry.restore(seen);
    await faults('restore:committed');
    return restored;
  }

  /**
   * Purges what has been deleted for long enough, by the clock of the database. Any number of instances may do it at once:
   * each organization is purged by one of them.
   *
   * @returns how many this instance purged; @throws DatabaseUnavailableError
   */
  async purgeDue(): Promise<number> {
    const { registry, deletion, logger } = this.#deps;
    let purged = 0;
    for (;;) {
      const due = await registry.dueToPurge(BATCH);
      for (const organization of due) {
        if (!(await deletion.run(organization))) continue;
        purged += 1;
        logger.info(
          { organization_id: organization._id.toHexString() },
          'purged an organization at the end of its grace period',
        );
      }
      if (due.length < BATCH) return purged;
    }
  }
}
