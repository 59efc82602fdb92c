import type { ObjectId } from 'mongodb';
import type { AdminDocument } from '../../admins/admin-document.ts';
import { DatabaseUnavailableError } from '../../database/database-errors.ts';
import { sharingPatience } from '../../database/deadline.ts';
import type { OperationClaim } from '../../registry/operation-claim.ts';
import type { OrganizationDocument } from '../../registry/organization-document.ts';
import { CollectionNameTakenError, OperationLostError } from '../../registry/registry-errors.ts';
import { searchKeysOf } from '../../registry/search-keys.ts';
import { collectionNameOf } from '../collection-name.ts';
import type { OrganizationName } from '../organization-name.ts';
import { NamespaceExistsError } from '../tenant-collections.ts';
import { claimOf, type LifecycleDeps } from './lifecycle-deps.ts';
import { OperationLease } from './operation-lease.ts';
import { identityOf } from './organization-identity.ts';

/** The account that was to own the organization was removed while the organization was being made. */
export class OwnerGoneError extends Error {
  constructor() {
    super('the owner account was removed meanwhile');
    this.name = 'OwnerGoneError';
  }
}

/** What a new organization is made of. */
export interface NewOrganization {
  id: ObjectId;
  name: OrganizationName;
  database: string;
  /** A new account to be inserted, or one that exists. */
  owner: { kind: 'new'; admin: AdminDocument } | { kind: 'existing'; adminId: ObjectId };
}

/**
 * Creates an organization in resumable steps. The update to `active` is the commit point: whatever a crash leaves before
 * it is undone by recovery, because nobody was told that the organization exists.
 */
export class OrganizationCreation {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /**
   * @returns the active organization
   * @throws OrganizationNameTakenError, CollectionNameTakenError, ConfusableNameError, EmailTakenError, OwnerGoneError;
   *   after any of them nothing is left of the attempt
   * @throws OperationLostError, DatabaseUnavailableError when the outcome is recovery's to decide
   */
  async run(request: NewOrganization): Promise<OrganizationDocument> {
    const claim = await this.#reserve(request);
    using _lease = new OperationLease({ ...this.#deps, claim });
    try {
      await this.#deps.faults('create:reserved');
      await this.#addCollection(request, claim);
      await this.#addOwner(request);
      // Listed from here on, and not before: what is undone needs no place in the indexes of lists.
      const listed = { search_keys: searchKeysOf(request.name.slug) };
      const active = await this.#deps.operations.finish(claim, {
        $set: { ...listed, state: 'active' },
      });
      await this.#deps.faults('create:committed');
      return active;
    } catch (error) {
      // A step without an answer may still happen, the commit among them: only recovery can tell, later.
      if (error instanceof DatabaseUnavailableError) {
        // Not waited for: whoever asked has waited long enough.
        void this.#removeIfUndone(request);
        throw error;
      }
      throw await this.#undoAfter(error, request, claim);
    }
  }

  /** Undoes a creation that was not committed. Idempotent; for recovery. */
  async undo(organization: OrganizationDocument): Promise<void> {
    await this.#removeTraces(tracesOf(organization));
    await this.#deps.operations.remove(claimOf(organization));
  }

  /**
   * Removes what was written for a creation after it had been undone: a write that a hanging database had been sent is
   * carried out when it goes on, and nobody hears of it. Idempotent; for recovery.
   *
   * @param undone - as {@link undo} was given it
   */
  async removeLateTraces(undone: OrganizationDocument): Promise<void> {
    if ((await this.#deps.registry.findById(undone._id)) === null)
      await this.#removeTraces(tracesOf(undone));
  }

  async #reserve({ id, name, database, owner }: NewOrganization): Promise<OperationClaim> {
    const { operations, clock, ids, instanceId } = this.#deps;
    const now = clock.now();
    const operation = {
      _id: ids.objectId(),
      kind: 'create' as const,
      owner: instanceId,
      owner_admin_id: owner.kind === 'new' ? owner.admin._id : owner.adminId,
    };
    const organization: OrganizationDocument = {
      _id: id,
      ...identityOf(name, database),
      database,
      state: 'provisioning',
      held: { slugs: [name.slug], skeletons: [name.skeleton], external_ids: [] },
      metadata: {},
      measured: { records: 0, bytes: 0, at: now },
      last_active_at: now,
      version: 0,
      created_at: now,
      updated_at: now,
    };
    await operations.insertProvisioning(organization, operation, { name });
    return { organizationId: id, operationId: operation._id, attempt: 1 };
  }

  async #addCollection({ id, name, database }: NewOrganization, claim: OperationClaim) {
    const { collections, operations, faults } = this.#deps;
    const uuid = await collections.create(database, collectionNameOf(name.slug, database), id);
    await faults('create:collection-created');
    await operations.recordCollection(claim, uuid);
    await faults('create:collection-recorded');
  }

  async #addOwner({ id, owner }: NewOrganization): Promise<void> {
    const { admins, memberships, clock, ids, faults } = this.#deps;
    const adminId = owner.kind === 'new' ? owner.admin._id : owner.adminId;
    if (owner.kind === 'new') await admins.insert(owner.admin);
    await faults('create:admin-inserted');
    await memberships.insert({
      _id: ids.objectId(),
      organization_id: id,
      admin_id: adminId,
      role: 'owner',
      version: 0,
      created_at: clock.now(),
    });
    await faults('create:membership-inserted');
    if (!(await admins.countMembership(adminId))) throw new OwnerGoneError();
    await faults('create:membership-counted');
  }

  /** Leaves nothing behind, as far as the database answers; the rest is recovery's. @returns what to tell the caller */
  async #undoAfter(failure: unknown, request: NewOrganization, claim: OperationClaim) {
    const { id, name } = request;
    try {
      // Also when another instance has taken over and undone it: what this one made since must go as well.
      await this.#removeTraces(tracesOfRequest(request));
      // Whatever it failed of then, it is the other instance's undoing that it met.
      if (!(await this.#deps.operations.remove(claim))) return new OperationLostError();
    } catch (error) {
      if (error instanceof OperationLostError) return error;
      this.#deps.logger.warn(
        { err: error, failure, organization_id: id.toHexString() },
        'could not undo a failed creation; recovery will',
      );
    }
    return failure instanceof NamespaceExistsError
      ? new CollectionNameTakenError(name.display, failure)
      : failure;
  }

  /**
   * The step without an answer may have been carried out after the creation was undone: an instance that was paused sends
   * it when it wakes up, and only then notices that its time has run out.
   */
  async #removeIfUndone(request: NewOrganization): Promise<void> {
    const { registry, logger } = this.#deps;
    try {
      await sharingPatience(async () => {
        if ((await registry.findById(request.id)) === null)
          await this.#removeTraces(tracesOfRequest(request));
      });
    } catch (error) {
      logger.warn(
        { err: error, organization_id: request.id.toHexString() },
        'could not look after an interrupted creation; recovery will',
      );
    }
  }

  async #removeTraces(traces: Traces): Promise<void> {
    const { collections, memberships, accounts } = this.#deps;
    const { id, database, collectionName, ownerId } = traces;
    const found = await collections.find(database, collectionName);
    if (found?.organizationId === id.toHexString()) await collections.drop({ database, ...found });
    for (const membership of await memberships.ofOrganization(id))
      await memberships.remove(membership._id);
    await accounts.removeIfUnattached(ownerId);
  }
}

/** Where a creation may have left something. */
interface Traces {
  id: ObjectId;
  database: string;
  collectionName: string;
  ownerId: ObjectId;
}

function tracesOf(organization: OrganizationDocument): Traces {
  const { _id: id, operation, collection_name: collectionName, database } = organization;
  if (operation?.kind !== 'create') throw new Error('the organization is not being created');
  return { id, database, collectionName, ownerId: operation.owner_admin_id };
}

function tracesOfRequest({ id, name, database, owner }: NewOrganization): Traces {
  return {
    id,
    database,
    collectionName: collectionNameOf(name.slug, database),
    ownerId: owner.kind === 'new' ? owner.admin._id : owner.adminId,
  };
}
