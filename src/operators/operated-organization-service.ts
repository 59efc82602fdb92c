import type { ObjectId } from 'mongodb';
import type { AccessChanged } from '../access/access-changes.ts';
import type { OperatorCaller } from '../access/caller.ts';
import type { AdminDocument } from '../admins/admin-document.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logging/logger.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { assertMetadata } from '../organizations/metadata.ts';
import type { OrganizationChange } from '../registry/organization-change.ts';
import type { OrganizationDocument, QuotaDocument } from '../registry/organization-document.ts';
import { OrganizationBusyError, OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { retryWhileBusy } from '../retry-while-busy.ts';
import type {
  DeletedOrganization,
  OrganizationGrace,
} from '../tenants/lifecycle/organization-grace.ts';
import { assertVisibleText } from '../visible-text.ts';
import { GracePeriodOverError, OrganizationDeletedError } from './operator-errors.ts';

/** An organization as operators see it. */
export interface OperatedOrganization {
  organization: OrganizationDocument;
  members: number;
  /** Who has owned it longest; null only while it is made or deleted. */
  owner: Pick<AdminDocument, '_id' | 'email'> | null;
}

/** What operators change; what is absent stays as it is. */
export interface OperatedChange {
  metadata?: Record<string, unknown>;
  /** In place of the one there was; null for the defaults. */
  quota?: QuotaDocument | null;
}

interface OperatedOrganizationServiceDeps {
  registry: RegistryStore;
  memberships: MembershipStore;
  admins: AdminStore;
  grace: OrganizationGrace;
  changed: AccessChanged;
  clock: Clock;
  logger: Logger;
}

/** What operators do to organizations, from outside: none of it reads or writes what is in them. */
export class OperatedOrganizationService {
  readonly #deps: OperatedOrganizationServiceDeps;

  constructor(deps: OperatedOrganizationServiceDeps) {
    this.#deps = deps;
  }

  /** @throws OrganizationNotFoundError */
  async get(id: ObjectId): Promise<OperatedOrganization> {
    return this.#withPeople(await this.#find(id));
  }

  /**
   * Changes metadata and quota, both or neither, of an organization that is active or suspended.
   *
   * @throws InvalidFieldError, OrganizationNotFoundError, OrganizationBusyError
   */
  async change(
    caller: OperatorCaller,
    id: ObjectId,
    { metadata, quota }: OperatedChange,
  ): Promise<OperatedOrganization> {
    if (metadata !== undefined) assertMetadata(metadata);
    const fields = {
      ...(metadata !== undefined && { metadata }),
      ...(quota !== undefined && { quota: quota ?? {} }),
    };
    return this.#write(caller, 'change', id, () => ({ $set: fields }));
  }

  /**
   * Refuses everything of an organization, and keeps all of it: on this instance from now on, on others within a second.
   * Idempotent; another reason replaces the one there was.
   *
   * @throws InvalidFieldError, OrganizationNotFoundError; OrganizationBusyError while another operation is under way on it
   */
  async suspend(
    caller: OperatorCaller,
    id: ObjectId,
    reason?: string | null,
  ): Promise<OperatedOrganization> {
    if (typeof reason === 'string') assertVisibleText('/reason', reason);
    const { clock } = this.#deps;
    return this.#write(caller, 'suspend', id, ({ state, suspension }) => {
      const isSame = reason === undefined || reason === (suspension?.reason ?? null);
      if (state === 'suspended' && isSame) return undefined;
      const at = state === 'suspended' ? (suspension?.at ?? clock.now()) : clock.now();
      const made = { reason: reason ?? null, at, operator_id: caller.operatorId };
      return { $set: { state: 'suspended', suspension: made } };
    });
  }

  /** Serves it again. Idempotent. @throws OrganizationNotFoundError, OrganizationBusyError */
  async resume(caller: OperatorCaller, id: ObjectId): Promise<OperatedOrganization> {
    return this.#write(caller, 'resume', id, ({ state }) =>
      state === 'suspended' ? { $set: { state: 'active' }, $unset: { suspension: '' } } : undefined,
    );
  }

  /**
   * Deletes an organization, active or suspended, with all that is its own: at the end of the grace period, if there is one.
   * One that is deleted already stays as it is.
   *
   * @param now - whether it is to be gone at once, in spite of the grace period
   * @throws OrganizationNotFoundError, OrganizationBusyError
   */
  async delete(caller: OperatorCaller, id: ObjectId, now = false): Promise<DeletedOrganization> {
    const { grace, changed } = this.#deps;
    const deleted = await retryWhileBusy(
      async () => {
        const seen = await this.#find(id);
        if (seen.deletion !== undefined && seen.state === 'deleted' && !now)
          return { organization: seen, purgeAt: seen.deletion.purge_at };
        return grace.delete(seen, now);
      },
      () => new OrganizationBusyError(),
    );
    changed(id);
    this.#note(caller, now ? 'purge' : 'delete', id);
    return deleted;
  }

  /**
   * Brings a deleted organization back within its grace period, as it was but for its sessions. Idempotent.
   *
   * @throws GracePeriodOverError, OrganizationNotFoundError once it is purged, OrganizationBusyError
   */
  async restore(caller: OperatorCaller, id: ObjectId): Promise<OperatedOrganization> {
    const { grace, changed } = this.#deps;
    const restored = await retryWhileBusy(
      async () => {
        const seen = await this.#find(id);
        if (seen.state === 'active' || seen.state === 'suspended') return seen;
        if (seen.state !== 'deleted') return null;
        const back = await grace.restore(seen);
        if (back !== null) this.#note(caller, 'restore', id);
        // As it was seen: then it is the time that has passed.
        else if ((await this.#find(id)).version === seen.version) throw new GracePeriodOverError();
        return back;
      },
      () => new OrganizationBusyError(),
    );
    changed(id);
    return this.#withPeople(restored);
  }

  /** @param decide - what to change of the organization as it is; undefined if nothing has to be */
  async #write(
    caller: OperatorCaller,
    action: string,
    id: ObjectId,
    decide: (seen: OrganizationDocument) => OrganizationChange | undefined,
  ): Promise<OperatedOrganization> {
    const { registry, changed, clock } = this.#deps;
    const written = await retryWhileBusy(
      async () => {
        const seen = await this.#find(id);
        // An operation under way ends with a state of its own, which this must not be lost in.
        if (seen.operation !== undefined) return null;
        if (seen.state === 'deleted') throw new OrganizationDeletedError();
        const change = decide(seen);
        if (change === undefined) return seen;
        const $set = { ...change.$set, updated_at: clock.now() };
        const after = await registry.update(seen, { ...change, $set });
        if (after !== null) this.#note(caller, action, id);
        return after;
      },
      () => new OrganizationBusyError(),
    );
    // Also when nothing was changed: another instance may have done it just now.
    changed(id);
    return this.#withPeople(written);
  }

  async #find(id: ObjectId): Promise<OrganizationDocument> {
    const found = await this.#deps.registry.findById(id);
    if (found === null) throw new OrganizationNotFoundError();
    return found;
  }

  async #withPeople(organization: OrganizationDocument): Promise<OperatedOrganization> {
    const { memberships, admins } = this.#deps;
    const [members, ownership] = await Promise.all([
      memberships.countOf(organization._id),
      memberships.firstOwner(organization._id),
    ]);
    const owner = ownership && (await admins.findById(ownership.admin_id));
    return { organization, members, owner };
  }

  #note({ operatorId }: OperatorCaller, action: string, id: ObjectId): void {
    const context = {
      operator_id: operatorId.toHexString(),
      organization_id: id.toHexString(),
      action,
    };
    this.#deps.logger.info(context, `an operator acted on an organization: ${action}`);
  }
}
