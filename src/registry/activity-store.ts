import type { Collection, Db, Filter, ObjectId } from 'mongodb';
import { masterCollection } from '../database/collections.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { OrganizationDocument } from './organization-document.ts';
import { ORGANIZATIONS } from './registry-store.ts';
import { searchKeysOf } from './search-keys.ts';

/** Last use is written down when it is this much later than what stands there. */
export const ACTIVITY_GRAIN_MS = 15 * 60 * 1_000;
/** After a use that was written down an organization is measured this much later, and once for all uses until then. */
export const MEASURED_AFTER_MS = 5 * 60 * 1_000;

/** What an organization holds. */
export type Measured = NonNullable<OrganizationDocument['measured']>;

/**
 * What is written on registry documents about the use that is made of organizations. None of it counts as a change of the
 * organization (`version`): it never gets in the way of one.
 */
export class ActivityStore {
  readonly #organizations: Collection<OrganizationDocument>;

  constructor(master: Db) {
    this.#organizations = masterCollection<OrganizationDocument>(master, ORGANIZATIONS);
  }

  /** Writes down when organizations were last used, and that they are to be measured. */
  async recordUse(uses: readonly { id: ObjectId; at: Date }[]): Promise<void> {
    const writes = uses.map(({ id, at }) => {
      const before = new Date(at.getTime() - ACTIVITY_GRAIN_MS);
      const due = new Date(at.getTime() + MEASURED_AFTER_MS);
      return {
        updateOne: {
          filter: { _id: id, last_active_at: { $not: { $gt: before } } },
          update: { $set: { last_active_at: at, measure_at: due } },
        },
      };
    });
    await retryTransient(() =>
      this.#organizations.bulkWrite(writes, { ...withinDeadline(), ordered: false }),
    );
  }

  /** Organizations that are due to be measured, longest due first. */
  due(now: Date, limit: number): Promise<OrganizationDocument[]> {
    return retryTransient(() =>
      this.#organizations
        .find({ measure_at: { $lte: now } }, withinDeadline())
        .sort({ measure_at: 1 })
        .limit(limit)
        .toArray(),
    );
  }

  /**
   * Takes one that is due upon oneself, so that other instances leave it alone for a while.
   *
   * @returns false when another instance has it
   */
  async take({ _id, measure_at }: OrganizationDocument, until: Date): Promise<boolean> {
    if (measure_at === undefined) return false;
    const taken = await retryTransient(() =>
      this.#organizations.updateOne(
        { _id, measure_at },
        { $set: { measure_at: until } },
        withinDeadline(),
      ),
    );
    return taken.matchedCount === 1;
  }

  /** Writes down what was measured, unless it has become due again since. @param taken - as given to {@link take} */
  async recordMeasured(_id: ObjectId, measured: Measured, taken: Date): Promise<void> {
    await retryTransient(() =>
      this.#organizations.updateOne(
        { _id, measure_at: taken },
        { $set: { measured }, $unset: { measure_at: '' } },
        withinDeadline(),
      ),
    );
  }

  /**
   * Gives documents of older releases what lists go by. They are measured as soon as may be.
   *
   * @returns how many were filled in; fewer than `limit`: there are no more
   */
  async fillIn(now: Date, limit: number): Promise<number> {
    // Null finds those without it, by the index.
    const unlisted = {
      search_keys: null,
      // One that is being made is listed when it has been.
      state: { $ne: 'provisioning' },
    } as unknown as Filter<OrganizationDocument>;
    const found = await retryTransient(() =>
      this.#organizations
        .find(unlisted, { ...withinDeadline(), projection: { slug: 1, created_at: 1 } })
        .limit(limit)
        .toArray(),
    );
    if (found.length === 0) return 0;
    const writes = found.map(({ _id, slug, created_at }) => ({
      updateOne: {
        // Renamed meanwhile, it has them already, or will be found again.
        filter: { ...unlisted, _id, slug },
        update: {
          $set: {
            search_keys: searchKeysOf(slug),
            measured: { records: 0, bytes: 0, at: created_at },
            last_active_at: created_at,
            measure_at: now,
          },
        },
      },
    }));
    await retryTransient(() =>
      this.#organizations.bulkWrite(writes, { ...withinDeadline(), ordered: false }),
    );
    return found.length;
  }
}
