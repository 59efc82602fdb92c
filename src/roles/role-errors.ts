import { AppError } from '../errors.ts';
import type { Permission } from './permissions.ts';

export class RoleNotFoundError extends AppError {
  constructor(role: string) {
    super('not_found', 'role_not_found', `There is no role "${role}" in this organization.`);
  }
}

/** A role is named in the input that the organization does not have. */
export class UnknownRoleError extends AppError {
  constructor(role: string) {
    const message = `must be a role of the organization; there is no "${role}"`;
    super('invalid', 'unknown_role', `role: ${message}.`, { errors: [{ path: '/role', message }] });
  }
}

export class RoleTakenError extends AppError {
  constructor(role: string, cause?: unknown) {
    super('conflict', 'role_taken', `There is a role "${role}" already.`, { cause });
  }
}

export class BuiltInRoleError extends AppError {
  constructor(role: string) {
    super('conflict', 'role_built_in', `"${role}" is built in: it cannot be changed or deleted.`);
  }
}

export class RoleInUseError extends AppError {
  constructor(role: string) {
    super(
      'conflict',
      'role_in_use',
      `Members or invitations have the role "${role}". Give them another one first.`,
    );
  }
}

/** Nobody gives, takes or changes what they do not have themselves. */
export class PermissionNotHeldError extends AppError {
  constructor(missing: readonly Permission[]) {
    super(
      'forbidden',
      'permission_not_held',
      `You can only give, change or take what you have yourself; you lack ${missing.join(', ')}.`,
    );
  }
}

/** @throws PermissionNotHeldError unless `held` includes all of `needed` */
export function assertHolds(held: ReadonlySet<Permission>, needed: Iterable<Permission>): void {
  const missing = [...needed].filter((one) => !held.has(one));
  if (missing.length > 0) throw new PermissionNotHeldError(missing);
}
