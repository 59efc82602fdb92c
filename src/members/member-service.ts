import type { ObjectId } from 'mongodb';
import type { Caller, MemberCaller } from '../access/caller.ts';
import type { AdminDocument } from '../admins/admin-document.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Page, PageRequest } from '../http/pagination.ts';
import { retryWhileBusy } from '../retry-while-busy.ts';
import { isBuiltInRole } from '../roles/permissions.ts';
import { assertHolds, PermissionNotHeldError, UnknownRoleError } from '../roles/role-errors.ts';
import type { RoleService } from '../roles/role-service.ts';
import type { MemberChanges } from './member-changes.ts';
import { MemberBusyError, MemberNotFoundError } from './member-errors.ts';
import type { MembershipDocument, MembershipStore } from './membership-store.ts';

/** A person in an organization. */
export interface Member {
  admin: AdminDocument;
  membership: MembershipDocument;
}

interface MemberServiceDeps {
  memberships: MembershipStore;
  admins: AdminStore;
  roles: RoleService;
  changes: MemberChanges;
}

/**
 * The rules of who belongs to an organization and in what role: nobody gives or takes what they do not have themselves,
 * and there is never an organization without an owner.
 */
export class MemberService {
  readonly #deps: MemberServiceDeps;

  constructor(deps: MemberServiceDeps) {
    this.#deps = deps;
  }

  /** The organization's members, longest first. */
  async list(organizationId: ObjectId, request: PageRequest): Promise<Page<Member>> {
    const { memberships, admins } = this.#deps;
    const page = await memberships.page({ organization_id: organizationId }, request);
    const people = await admins.findMany(page.items.map(({ admin_id }) => admin_id));
    const byId = new Map(people.map((admin) => [admin._id.toHexString(), admin]));
    const items = page.items.flatMap((membership) => {
      const admin = byId.get(membership.admin_id.toHexString());
      return admin === undefined ? [] : [{ admin, membership }];
    });
    return { ...page, items };
  }

  /**
   * @throws MemberNotFoundError, UnknownRoleError, PermissionNotHeldError (for the role they had as for the new one),
   *   LastOwnerError, MemberBusyError
   */
  async changeRole(caller: Caller, adminId: ObjectId, role: string): Promise<Member> {
    const { organizationId } = caller;
    const membership = await this.#change(organizationId, adminId, async (seen) => {
      await this.#assertAbove(caller, seen);
      assertHolds(caller.permissions, await this.#deps.roles.assignable(organizationId, role));
      if (seen.role === role) return seen;
      const changed = await this.#deps.changes.setRole(seen, role);
      return changed && this.#keepIfRoleStays(changed, seen.role);
    });
    const admin = await this.#deps.admins.findById(adminId);
    if (admin === null) throw new MemberNotFoundError();
    return { admin, membership };
  }

  /** @throws MemberNotFoundError, PermissionNotHeldError, LastOwnerError, MemberBusyError */
  async remove(caller: Caller, adminId: ObjectId): Promise<void> {
    await this.#change(caller.organizationId, adminId, async (seen) => {
      await this.#assertAbove(caller, seen);
      return this.#deps.changes.remove(seen);
    });
  }

  /** The caller leaves the organization. @throws LastOwnerError, MemberBusyError */
  async leave({ organizationId, adminId }: MemberCaller): Promise<void> {
    await this.#change(organizationId, adminId, (seen) => this.#deps.changes.remove(seen));
  }

  /**
   * Makes another member an owner, and the caller an admin: both, or neither.
   *
   * @throws MemberNotFoundError, PermissionNotHeldError, LastOwnerError, MemberBusyError
   */
  async transfer({ organizationId, adminId }: MemberCaller, to: ObjectId): Promise<void> {
    if (to.equals(adminId)) return;
    const { memberships, changes } = this.#deps;
    await this.#change(organizationId, to, async (target) => {
      const from = await memberships.find(organizationId, adminId);
      if (from?.role !== 'owner') throw new PermissionNotHeldError(['org:transfer']);
      return changes.transfer(from, target);
    });
  }

  #change<T>(
    organizationId: ObjectId,
    adminId: ObjectId,
    attempt: (seen: MembershipDocument) => Promise<T | null>,
  ): Promise<T> {
    return retryWhileBusy(
      async () => {
        const seen = await this.#deps.memberships.find(organizationId, adminId);
        if (seen === null) throw new MemberNotFoundError();
        return attempt(seen);
      },
      () => new MemberBusyError(),
    );
  }

  /** Whoever may do something the caller may not is not the caller's to change. */
  async #assertAbove(caller: Caller, { organization_id, role }: MembershipDocument): Promise<void> {
    assertHolds(caller.permissions, await this.#deps.roles.allowedBy(organization_id, role));
  }

  /** The role may have been deleted at the same time: see {@link RoleService.delete}. */
  async #keepIfRoleStays(changed: MembershipDocument, before: string): Promise<MembershipDocument> {
    if (isBuiltInRole(changed.role)) return changed;
    try {
      await this.#deps.roles.assignable(changed.organization_id, changed.role);
      return changed;
    } catch (error) {
      if (error instanceof UnknownRoleError) await this.#deps.memberships.setRole(changed, before);
      throw error;
    }
  }
}
