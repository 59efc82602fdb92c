import type { MongoClient } from 'mongodb';
import type { Clock } from '../clock.ts';
import { DatabaseUnavailableError } from '../database/database-errors.ts';
import type { Logger } from '../logging/logger.ts';
import type { ActivityStore } from '../registry/activity-store.ts';
import {
  collectionReference,
  type OrganizationDocument,
} from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import { FencedCommands } from './fenced-commands.ts';

/** So many are read at a time. */
const BATCH = 100;
/** So many documents of an older release are filled in at a time. */
const FILL_BATCH = 500;
/** Another instance takes one over from an instance that died, or failed. */
const TAKEN_FOR_MS = 60 * 1_000;

interface OrganizationMeasurementDeps {
  client: MongoClient;
  activity: ActivityStore;
  clock: Clock;
  logger: Logger;
}

/**
 * Writes down how much organizations hold, on their registry documents, so that operators can list them by size. Only those
 * that were used are measured, at most every quarter of an hour each, from the counters of their collections: what is listed
 * may be about 20 minutes old. Any number of instances share the work.
 */
export class OrganizationMeasurement {
  readonly #deps: OrganizationMeasurementDeps;

  constructor(deps: OrganizationMeasurementDeps) {
    this.#deps = deps;
  }

  /** Measures all that are due. @returns how many; @throws DatabaseUnavailableError */
  async run(): Promise<number> {
    await this.#fillIn();
    const { activity, clock } = this.#deps;
    let measured = 0;
    for (;;) {
      const due = await activity.due(clock.now(), BATCH);
      for (const organization of due) if (await this.#measure(organization)) measured += 1;
      if (due.length < BATCH) return measured;
    }
  }

  async #fillIn(): Promise<void> {
    const { activity, clock, logger } = this.#deps;
    let filled = 0;
    for (;;) {
      const now = await activity.fillIn(clock.now(), FILL_BATCH);
      filled += now;
      if (now < FILL_BATCH) break;
    }
    if (filled > 0)
      logger.info({ organizations: filled }, 'made the organizations of an older release listable');
  }

  async #measure(organization: OrganizationDocument): Promise<boolean> {
    const { activity, clock, logger } = this.#deps;
    const taken = new Date(clock.now().getTime() + TAKEN_FOR_MS);
    if (!(await activity.take(organization, taken))) return false;
    try {
      const measured = await this.#read(organization);
      if (measured === undefined) return false;
      await activity.recordMeasured(organization._id, measured, taken);
      return true;
    } catch (error) {
      if (error instanceof DatabaseUnavailableError) throw error;
      // Deleted meanwhile, as may be.
      if (!(error instanceof OrganizationNotFoundError))
        logger.warn(
          { err: error, organization_id: organization._id.toHexString() },
          'could not measure an organization; will try again',
        );
      return false;
    }
  }

  /** @returns undefined while there is no collection */
  async #read(organization: OrganizationDocument) {
    const { client, clock } = this.#deps;
    const reference = collectionReference(organization);
    if (reference === undefined) return undefined;
    const at = clock.now();
    const pipeline = [
      { $collStats: { storageStats: {} } },
      { $project: { records: '$storageStats.count', bytes: '$storageStats.size' } },
    ];
    const { cursor } = await new FencedCommands(client, reference).run(
      (name) => ({ aggregate: name, pipeline, cursor: {} }),
      { write: false },
    );
    const [found] = cursor.firstBatch;
    return { records: Number(found?.records ?? 0), bytes: Number(found?.bytes ?? 0), at };
  }
}
