import type { Collection } from 'mongodb';
import { duplicateKeyField, retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import type { AppError } from '../errors.ts';
import type { OrganizationName } from '../tenants/organization-name.ts';
import type { OrganizationDocument } from './organization-document.ts';
import {
  CollectionNameTakenError,
  ConfusableNameError,
  ExternalIdTakenError,
  OrganizationBusyError,
  OrganizationNameTakenError,
} from './registry-errors.ts';

/** How often a name may be given up just after it was in the way, before a write of it is given up as well. */
const MAX_ATTEMPTS = 10;

/** What an organization is to be called; a conflict names it back to the caller. */
export interface WantedNames {
  name: OrganizationName;
  externalId?: string | null;
}

/** Tells of a name that the unique indexes refuse in which way it is taken. */
export class NameConflicts {
  readonly #organizations: Collection<OrganizationDocument>;

  constructor(organizations: Collection<OrganizationDocument>) {
    this.#organizations = organizations;
  }

  /**
   * Makes a write that may meet a taken name, and makes it again when the name has been given up since.
   *
   * @param wanted - the names it writes, if any
   * @throws OrganizationNameTakenError, CollectionNameTakenError, ConfusableNameError, ExternalIdTakenError
   */
  async refusingTaken<T>(wanted: WantedNames | undefined, write: () => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await retryTransient(write);
      } catch (error) {
        const field = duplicateKeyField(error);
        if (field === undefined || wanted === undefined) throw error;
        if (field === 'held.external_ids')
          throw new ExternalIdTakenError(wanted.externalId ?? '', error);
        const conflict = await this.find(wanted.name, error);
        if (conflict !== undefined) throw conflict;
        // Whoever had the name has given it up since.
        if (attempts === MAX_ATTEMPTS) throw new OrganizationBusyError();
      }
    }
  }

  /** Says of a taken name only what the caller's own input shows. @returns undefined when nobody has it */
  async find(name: OrganizationName, cause?: unknown): Promise<AppError | undefined> {
    const sameOrAlike = {
      $or: [{ 'held.slugs': name.slug }, { 'held.skeletons': name.skeleton }],
    };
    const holders = await retryTransient(() =>
      this.#organizations.find(sameOrAlike, withinDeadline()).toArray(),
    );
    if (holders.length === 0) return undefined;
    const holder = holders.find(({ held }) => held.slugs.includes(name.slug));
    if (holder === undefined) return new ConfusableNameError(name.display, cause);
    const keys = [holder.name_key];
    if (holder.operation?.kind === 'update') keys.push(holder.operation.target.name_key);
    return keys.includes(name.key)
      ? new OrganizationNameTakenError(name.display, cause)
      : new CollectionNameTakenError(name.display, cause);
  }
}
