import { CredentialsChangedError, EmailTakenError } from '../../admins/admin-errors.ts';
import type { OperationClaim } from '../../registry/operation-claim.ts';
import type { OrganizationChange } from '../../registry/organization-change.ts';
import {
  type CollectionReference,
  type CredentialChange,
  collectionReference,
  type OrganizationDocument,
  type OrganizationTarget,
  type UpdateOperation,
} from '../../registry/organization-document.ts';
import {
  CollectionMissingError,
  CollectionNameTakenError,
  IndexBuildInProgressError,
} from '../../registry/registry-errors.ts';
import { searchKeysOf } from '../../registry/search-keys.ts';
import { FenceMissError } from '../fence.ts';
import { parseOrganizationName } from '../organization-name.ts';
import { NamespaceExistsError } from '../tenant-collections.ts';
import { claimOf, type LifecycleDeps } from './lifecycle-deps.ts';
import { OperationLease } from './operation-lease.ts';

/**
 * Changes an organization's name, metadata and external id, together with the caller's own credentials, in resumable
 * steps: all of it happens, or none. A rename moves the collection online; readers and writers follow it by its UUID.
 *
 * Recovery rolls an update forward. Only if a step turns out to be impossible (the e-mail address or the collection name
 * was taken meanwhile) is it rolled back, in the same way as when it was asked for.
 */
export class OrganizationUpdate {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /**
   * @param seen - the active organization the change was decided on
   * @returns the organization as committed, or null when it has changed since it was seen
   * @throws OrganizationNameTakenError, CollectionNameTakenError, ConfusableNameError, ExternalIdTakenError,
   *   EmailTakenError, CredentialsChangedError, IndexBuildInProgressError; nothing has changed after any of them
   * @throws OperationLostError, DatabaseUnavailableError when the outcome is recovery's to decide
   */
  async run(
    seen: OrganizationDocument,
    target: OrganizationTarget,
    credentials: CredentialChange | undefined,
  ): Promise<OrganizationDocument | null> {
    const wanted = {
      name: parseOrganizationName(target.organization_name),
      externalId: target.external_id,
    };
    if (credentials === undefined && target.collection_name === seen.collection_name)
      return this.#deps.registry.update(seen, this.#commit(target), wanted);
    const operation = {
      _id: this.#deps.ids.objectId(),
      kind: 'update' as const,
      owner: this.#deps.instanceId,
      target,
      ...(credentials === undefined ? {} : { credentials }),
    };
    const fields = { state: 'renaming' as const, held: heldThroughout(seen, target) };
    const begun = await this.#deps.operations.begin(seen, operation, fields, wanted);
    return begun === null ? null : this.resume(begun);
  }

  /** Carries an update that has begun to its end. Idempotent; for recovery as well. @throws as {@link run} */
  async resume(organization: OrganizationDocument): Promise<OrganizationDocument> {
    const { operations, faults, logger } = this.#deps;
    const claim = claimOf(organization);
    const operation = updateOf(organization);
    using _lease = new OperationLease({ operations, claim, logger });
    await faults('update:reserved');
    try {
      await this.#assertNameFree(organization, operation);
      await this.#changeCredentials(claim, operation);
      await this.#moveCollection(organization, operation);
    } catch (error) {
      if (!isImpossible(error)) throw error;
      // Recorded before it is done: whoever takes the operation over from here on undoes it as well, whether or not the
      // obstacle is still there. So an instance that is late cannot take back what another has finished.
      await operations.decideUndo(claim);
      await this.#undo(organization, operation);
      throw error;
    }
    await this.#endOtherSessions(claim, operation);
    const committed = await operations.finish(claim, this.#commit(operation.target));
    await faults('update:committed');
    return committed;
  }

  /** As {@link resume}, for recovery, to which an update that has to be undone is an outcome like the other. */
  async resumeAfterCrash(organization: OrganizationDocument): Promise<'finished' | 'undone'> {
    const operation = updateOf(organization);
    try {
      if (operation.undoing) {
        using _lease = new OperationLease({ ...this.#deps, claim: claimOf(organization) });
        await this.#undo(organization, operation);
        return 'undone';
      }
      await this.resume(organization);
      return 'finished';
    } catch (error) {
      if (isImpossible(error)) return 'undone';
      throw error;
    }
  }

  /**
   * Gives a collection back the name the registry has for it. Only an instance that was paused in the middle of a rename,
   * through that rename's recovery and another one back, can have moved it.
   *
   * @param actual - where the collection was found
   * @returns false when the organization has changed since it was seen or is not active, the name is in use, or an index is
   *   being built
   */
  async realign(seen: OrganizationDocument, actual: string): Promise<boolean> {
    if (seen.state !== 'active') return false;
    const { operations, collections, ids, instanceId } = this.#deps;
    const target = {
      ...identityFields(seen),
      metadata: seen.metadata,
      external_id: seen.external_id ?? null,
    };
    const operation = { _id: ids.objectId(), kind: 'update' as const, owner: instanceId, target };
    const begun = await operations.begin(seen, operation, { state: 'renaming' });
    if (begun === null) return false;
    try {
      await collections.rename({ ...collectionOf(begun), name: actual }, seen.collection_name);
      return true;
    } catch (error) {
      const isLeft =
        error instanceof NamespaceExistsError ||
        error instanceof FenceMissError ||
        error instanceof IndexBuildInProgressError;
      if (isLeft) return false;
      throw error;
    } finally {
      await operations.finish(claimOf(begun), this.#commit(target));
    }
  }

  /** A foreign collection may have the name; finding out before anything is changed spares an undo. */
  async #assertNameFree(organization: OrganizationDocument, { target }: UpdateOperation) {
    if (target.collection_name === organization.collection_name) return;
    const found = await this.#deps.collections.find(organization.database, target.collection_name);
    if (found !== undefined && !found.uuid.equals(collectionOf(organization).uuid))
      throw new CollectionNameTakenError(target.organization_name);
  }

  async #changeCredentials(claim: OperationClaim, { _id, credentials }: UpdateOperation) {
    if (credentials === undefined) return;
    const { operations, admins, clock, faults } = this.#deps;
    await operations.assertHeld(claim);
    if (!(await admins.applyChange(credentials, _id, clock.now())))
      throw new CredentialsChangedError();
    await faults('update:credentials-changed');
  }

  /** Cannot be taken back, so it comes when the update cannot become impossible any more. */
  async #endOtherSessions(claim: OperationClaim, { _id, credentials }: UpdateOperation) {
    if (credentials?.password === undefined) return;
    const { operations, admins, sessions, faults } = this.#deps;
    await operations.assertHeld(claim);
    const { admin_id, session_id } = credentials;
    await sessions.admitTo(_id, session_id);
    // Another change may have begun an era of its own since; its sessions are not this one's to end.
    if (await admins.beginEra(credentials, _id)) await sessions.endBefore(admin_id, _id);
    await faults('update:sessions-ended');
  }

  async #moveCollection(organization: OrganizationDocument, { target }: UpdateOperation) {
    const { collections, operations, faults } = this.#deps;
    const claim = claimOf(organization);
    let from: CollectionReference = collectionOf(organization);
    while (from.name !== target.collection_name) {
      await operations.assertHeld(claim);
      try {
        await collections.rename(from, target.collection_name);
        break;
      } catch (error) {
        if (error instanceof NamespaceExistsError)
          throw new CollectionNameTakenError(target.organization_name, error);
        if (!(error instanceof FenceMissError)) throw error;
        if (error.actual === null) throw new CollectionMissingError(error);
        // The registry's name was out of date, which only a crash between two steps can make it.
        from = { ...from, name: error.actual };
      }
    }
    await faults('update:collection-renamed');
  }

  async #undo(organization: OrganizationDocument, { _id, credentials }: UpdateOperation) {
    const { admins, clock, operations } = this.#deps;
    const claim = claimOf(organization);
    if (credentials !== undefined)
      await admins.revertChange(credentials, _id, clock.now()).catch((error: unknown) => {
        // The old address went to somebody else meanwhile: then the new one stays.
        if (!(error instanceof EmailTakenError)) throw error;
      });
    const { slug, skeleton, external_id } = organization;
    await operations.abandon(claim, {
      $set: { state: 'active', held: heldBy({ slug, skeleton, external_id: external_id ?? null }) },
    });
  }

  #commit({ external_id, ...target }: OrganizationTarget): OrganizationChange {
    const held = heldBy({ ...target, external_id });
    const common = {
      ...target,
      held,
      search_keys: searchKeysOf(target.slug),
      state: 'active' as const,
      updated_at: this.#deps.clock.now(),
    };
    return external_id === null
      ? { $set: common, $unset: { external_id: '' } }
      : { $set: { ...common, external_id } };
  }
}

function identityFields(organization: OrganizationDocument) {
  const { organization_name, name_key, slug, skeleton, collection_name } = organization;
  return { organization_name, name_key, slug, skeleton, collection_name };
}

type HeldNames = Pick<OrganizationTarget, 'slug' | 'skeleton' | 'external_id'>;

function heldBy({ slug, skeleton, external_id }: HeldNames): OrganizationDocument['held'] {
  return {
    slugs: [slug],
    skeletons: [skeleton],
    external_ids: external_id === null ? [] : [external_id],
  };
}

/** What the organization is called and what it will be called: both are taken while it moves. */
function heldThroughout(seen: OrganizationDocument, target: OrganizationTarget) {
  const now = seen.held;
  const then = heldBy(target);
  return {
    slugs: [...new Set([...now.slugs, ...then.slugs])],
    skeletons: [...new Set([...now.skeletons, ...then.skeletons])],
    external_ids: [...new Set([...now.external_ids, ...then.external_ids])],
  };
}

function collectionOf(organization: OrganizationDocument): CollectionReference {
  const reference = collectionReference(organization);
  if (reference === undefined) throw new Error('an active organization has a collection');
  return reference;
}

function updateOf({ operation }: OrganizationDocument): UpdateOperation {
  if (operation?.kind !== 'update') throw new Error('the organization is not being updated');
  return operation;
}

/** Whether trying again cannot help, or not soon, so that the update has to be undone. */
function isImpossible(error: unknown): boolean {
  return (
    error instanceof EmailTakenError ||
    error instanceof CredentialsChangedError ||
    error instanceof CollectionNameTakenError ||
    error instanceof CollectionMissingError ||
    error instanceof IndexBuildInProgressError
  );
}
