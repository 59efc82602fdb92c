import type { Clock } from '../clock.ts';
import type { Logger } from '../logging/logger.ts';
import type { OperationStore } from '../registry/operation-store.ts';
import type { OrganizationDocument } from '../registry/organization-document.ts';
import { OperationLostError } from '../registry/registry-errors.ts';
import type { OrganizationCreation } from './lifecycle/organization-creation.ts';
import type { OrganizationDeletion } from './lifecycle/organization-deletion.ts';
import type { OrganizationUpdate } from './lifecycle/organization-update.ts';

interface RecoveryDeps {
  operations: OperationStore;
  creation: OrganizationCreation;
  update: OrganizationUpdate;
  deletion: OrganizationDeletion;
  clock: Clock;
  logger: Logger;
  instanceId: string;
}

/**
 * When recovery looks again after a creation it has undone. A database that hung carries out what it had been sent as soon
 * as it goes on, beside recovery; how much later the slowest of it comes, only the load of the machine decides.
 */
const LOOKS_AGAIN_AFTER_MS = [500, 2_000, 10_000];

/** An operation that takes longer than this does not get on: most take milliseconds, and recovery comes within 3 s. */
const STUCK_AFTER_MS = 60_000;
/** So often an operation may be taken up before something other than crashes must be wrong. */
const STUCK_AFTER_ATTEMPTS = 3;

/** A lifecycle operation under way, for operators. */
export interface OperationStatus {
  organization_id: string;
  organization_name: string;
  kind: 'create' | 'update' | 'delete';
  /** The instance that works on it. */
  owner: string;
  started_at: Date;
  /** How often it was taken up, the first time included. */
  attempts: number;
  /** Since it was begun, by the database's clock. */
  age_seconds: number;
  /** Whether somebody should look at it: recovery tries again and again, and the log says what it fails of. */
  stuck: boolean;
}

/**
 * Ends what a crash left: undoes creations nobody was told of, finishes updates and deletions. Any number of instances may
 * run it; each operation is taken over by one of them, once its lease has run out by the database's clock.
 */
export class Recovery {
  readonly #deps: RecoveryDeps;
  /** Creations undone, with the times at which to look again. */
  #undone: { organization: OrganizationDocument; dueMs: number[] }[] = [];

  constructor(deps: RecoveryDeps) {
    this.#deps = deps;
  }

  /**
   * Takes over and ends every operation whose lease has run out.
   *
   * @returns how many were ended
   * @throws DatabaseUnavailableError; an operation that fails is logged and left for the next time
   */
  async recoverExpired(): Promise<number> {
    const { operations, instanceId } = this.#deps;
    const claimed = new Set<string>();
    let ended = 0;
    for (;;) {
      const organization = await operations.claimExpired(instanceId);
      // One that comes back has failed and outlived its lease in this very round: leave it for the next.
      if (organization === null || claimed.has(organization._id.toHexString())) return ended;
      claimed.add(organization._id.toHexString());
      if (await this.#end(organization)) ended += 1;
    }
  }

  /** Removes what was written late for creations that this instance has undone in the last seconds, when it is time to look. */
  async removeLateTraces(): Promise<void> {
    const { creation, clock } = this.#deps;
    const now = clock.monotonicMs();
    for (const undone of this.#undone) {
      const left = undone.dueMs.filter((due) => due > now);
      if (left.length === undone.dueMs.length) continue;
      await creation.removeLateTraces(undone.organization);
      undone.dueMs = left;
    }
    this.#undone = this.#undone.filter(({ dueMs }) => dueMs.length > 0);
  }

  /** What is under way or stuck, longest without a renewal first. @param limit - at most so many */
  async operations(limit = 200): Promise<OperationStatus[]> {
    const found = await this.#deps.operations.findOperations(limit);
    return found.flatMap(({ organization: { _id, organization_name, operation }, ageMs }) => {
      if (operation === undefined) return [];
      const { kind, owner, started_at, attempts } = operation;
      return [
        {
          organization_id: _id.toHexString(),
          ...{ organization_name, kind, owner, started_at, attempts },
          age_seconds: ageMs / 1_000,
          stuck: attempts > STUCK_AFTER_ATTEMPTS || ageMs > STUCK_AFTER_MS,
        },
      ];
    });
  }

  async #end(organization: OrganizationDocument): Promise<boolean> {
    const { logger } = this.#deps;
    const { operation } = organization;
    const context = {
      organization_id: organization._id.toHexString(),
      operation: operation?.kind,
      started_at: operation?.started_at,
      attempts: operation?.attempts,
    };
    try {
      const outcome = await this.#resume(organization);
      logger.warn(
        { ...context, outcome },
        `recovered an interrupted ${operation?.kind}: ${outcome}`,
      );
      return true;
    } catch (error) {
      // Another instance ends it, and logs and counts it.
      if (error instanceof OperationLostError) return false;
      logger.error(
        { ...context, err: error },
        'could not end an interrupted operation; will try again',
      );
      return false;
    }
  }

  async #resume(organization: OrganizationDocument): Promise<string> {
    const { creation, update, deletion, clock } = this.#deps;
    switch (organization.operation?.kind) {
      case 'create':
        await creation.undo(organization);
        this.#undone.push({
          organization,
          dueMs: LOOKS_AGAIN_AFTER_MS.map((after) => clock.monotonicMs() + after),
        });
        return 'undone';
      case 'update':
        return update.resumeAfterCrash(organization);
      case 'delete':
        await deletion.resume(organization);
        return 'finished';
      default:
        throw new Error('claimed an organization without an operation');
    }
  }
}
