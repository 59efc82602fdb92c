import type { ObjectId } from 'mongodb';
import type { Caller } from '../access/caller.ts';
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import { isGone } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import {
  BUILT_IN_ROLES,
  builtInPermissions,
  isBuiltInRole,
  type Permission,
} from './permissions.ts';
import {
  assertHolds,
  BuiltInRoleError,
  RoleInUseError,
  RoleNotFoundError,
  RoleTakenError,
  UnknownRoleError,
} from './role-errors.ts';
import type { RoleDocument, RoleStore } from './role-store.ts';

/** Enough for any organization's chart, few enough to list in one answer. */
const MAX_CUSTOM_ROLES = 100;
/** A role whose deletion was marked longer ago was left so by a crash, and is as good as any other. */
const DELETION_MS = 10_000;

/** What a custom role is made of. */
export interface RoleRequest {
  description?: string | null;
  permissions: readonly Permission[];
}

/** A role as an organization has it. */
export interface Role {
  name: string;
  description: string | null;
  builtIn: boolean;
  permissions: readonly Permission[];
}

class RoleLimitError extends AppError {
  constructor() {
    super(
      'conflict',
      'role_limit_reached',
      `An organization can have ${MAX_CUSTOM_ROLES} roles of its own.`,
    );
  }
}

interface RoleServiceDeps {
  roles: RoleStore;
  registry: RegistryStore;
  /** Forgets the stored answers that a role was made with: repeating the request makes a new one. */
  forgetAnswers: (id: ObjectId) => Promise<void>;
  /** Whether anybody has the role, or is invited to it. */
  isInUse: (organizationId: ObjectId, role: string) => Promise<boolean>;
  clock: Clock;
  ids: IdSource;
}

/** The rules of roles: the built-in ones, and those an organization defines for itself. */
export class RoleService {
  readonly #deps: RoleServiceDeps;

  constructor(deps: RoleServiceDeps) {
    this.#deps = deps;
  }

  /** The built-in roles, strongest first, then the organization's own, oldest first. */
  async list(organizationId: ObjectId): Promise<Role[]> {
    const custom = await this.#deps.roles.ofOrganization(organizationId);
    return [...BUILT_IN_ROLES.map(builtIn), ...custom.map(roleOf)];
  }

  /** What those may do who have the role: nothing, if there is no such role. */
  async allowedBy(organizationId: ObjectId, role: string): Promise<ReadonlySet<Permission>> {
    const fixed = builtInPermissions(role);
    if (fixed !== undefined) return fixed;
    const custom = await this.#deps.roles.find(organizationId, role);
    return new Set(custom?.permissions);
  }

  /**
   * What somebody may do who is given the role. To be asked again after giving it: see {@link delete}.
   *
   * @throws UnknownRoleError when the organization has no such role, or is deleting it
   */
  async assignable(organizationId: ObjectId, role: string): Promise<ReadonlySet<Permission>> {
    const fixed = builtInPermissions(role);
    if (fixed !== undefined) return fixed;
    const { roles, clock } = this.#deps;
    const custom = await roles.find(organizationId, role);
    if (custom === null) throw new UnknownRoleError(role);
    const { _id, deleting_since: since, permissions } = custom;
    if (since !== undefined) {
      if (clock.now().getTime() - since.getTime() < DELETION_MS) throw new UnknownRoleError(role);
      // Whoever marked it may be paused, and must not go on.
      await roles.unmarkDeleting(_id, since);
    }
    return new Set(permissions);
  }

  /** @throws PermissionNotHeldError, RoleTakenError, RoleLimitError */
  async create(
    caller: Caller,
    name: string,
    request: RoleRequest,
    creation: { subjectId: ObjectId; earlierSubjectIds: readonly ObjectId[] } = {
      subjectId: this.#deps.ids.objectId(),
      earlierSubjectIds: [],
    },
  ): Promise<Role> {
    const { roles, clock } = this.#deps;
    if (isBuiltInRole(name)) throw new RoleTakenError(name);
    // Of an attempt whose answer got lost.
    const made = await roles.find(caller.organizationId, name);
    if (made !== null && creation.earlierSubjectIds.some((id) => id.equals(made._id)))
      return roleOf(made);
    assertHolds(caller.permissions, request.permissions);
    if ((await roles.countOf(caller.organizationId)) >= MAX_CUSTOM_ROLES)
      throw new RoleLimitError();
    const now = clock.now();
    const role: RoleDocument = {
      _id: creation.subjectId,
      organization_id: caller.organizationId,
      name,
      ...fieldsOf(request),
      created_at: now,
      updated_at: now,
    };
    await roles.insert(role);
    await this.#assertOrganizationStays(role);
    // Of those that come at once and together are too many, none has to stay.
    if ((await roles.countOf(caller.organizationId)) > MAX_CUSTOM_ROLES) {
      await roles.remove(role._id);
      throw new RoleLimitError();
    }
    return roleOf(role);
  }

  /**
   * Replaces what a role allows; those who have it are held to that at once.
   *
   * @throws RoleNotFoundError, BuiltInRoleError, PermissionNotHeldError (for what it allowed as for what it is to allow)
   */
  async replace(caller: Caller, name: string, request: RoleRequest): Promise<Role> {
    for (;;) {
      const seen = await this.#customRole(caller, name);
      assertHolds(caller.permissions, [...seen.permissions, ...request.permissions]);
      const to = { ...fieldsOf(request), updated_at: this.#deps.clock.now() };
      const changed = await this.#deps.roles.change(seen, to);
      // Somebody else was faster: what they made of it may be more than the caller has.
      if (changed !== null) return roleOf(changed);
    }
  }

  /**
   * Deletes a role nobody has. Giving it to somebody at the same time, and deleting it, each first write and then look at
   * what the other wrote: so never both succeed.
   *
   * @throws RoleNotFoundError, BuiltInRoleError, PermissionNotHeldError, RoleInUseError
   */
  async delete(caller: Caller, name: string): Promise<void> {
    const { roles, clock, isInUse } = this.#deps;
    const role = await this.#customRole(caller, name);
    assertHolds(caller.permissions, role.permissions);
    const mark = clock.now();
    if (!(await roles.markDeleting(role._id, mark))) throw new RoleNotFoundError(name);
    if (await isInUse(caller.organizationId, name)) {
      await roles.unmarkDeleting(role._id, mark);
      throw new RoleInUseError(name);
    }
    // The mark was taken back by somebody who gave the role: this instance was too slow.
    if (!(await roles.remove(role._id, mark))) throw new RoleInUseError(name);
    await this.#deps.forgetAnswers(role._id);
  }

  /** A deletion that began meanwhile may have looked for roles before there was this one. */
  async #assertOrganizationStays({ _id, organization_id }: RoleDocument): Promise<void> {
    const { roles, registry } = this.#deps;
    const state = await registry.stateOf(organization_id);
    if (!isGone(state)) return;
    await roles.remove(_id);
    throw new OrganizationNotFoundError();
  }

  async #customRole({ organizationId }: Caller, name: string): Promise<RoleDocument> {
    if (isBuiltInRole(name)) throw new BuiltInRoleError(name);
    const role = await this.#deps.roles.find(organizationId, name);
    if (role === null) throw new RoleNotFoundError(name);
    return role;
  }
}

function builtIn(name: (typeof BUILT_IN_ROLES)[number]): Role {
  const permissions = [...(builtInPermissions(name) ?? [])];
  return { name, description: null, builtIn: true, permissions };
}

function roleOf({ name, description, permissions }: RoleDocument): Role {
  return { name, description, builtIn: false, permissions };
}

function fieldsOf({ description = null, permissions }: RoleRequest) {
  return { description, permissions: [...new Set(permissions)].sort() };
}
