/** Everything a caller can be allowed to do in an organization. A route names the one it needs: `http/authentication.ts`. */
export const PERMISSIONS = [
  'org:read',
  'org:update',
  'org:delete',
  'org:transfer',
  'member:read',
  'member:write',
  'invitation:write',
  'role:write',
  'api_key:write',
  'record:read',
  'record:write',
  'schema:write',
  'usage:read',
  'audit:read',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Who may make owners is an owner: no custom role and no API key can hold this one. */
const OWNER_ONLY: Permission = 'org:transfer';

/** What custom roles and API keys can be given. */
export const GRANTABLE_PERMISSIONS: readonly Permission[] = PERMISSIONS.filter(
  (one) => one !== OWNER_ONLY,
);

/** How roles are named, built-in ones as well as an organization's own. */
export const ROLE_NAME = '^[a-z][a-z0-9_-]{0,49}$';

/** The built-in roles, strongest first. Every organization has them, and nobody can change them. */
export const BUILT_IN_ROLES = ['owner', 'admin', 'editor', 'viewer'] as const;
export type BuiltInRole = (typeof BUILT_IN_ROLES)[number];

const VIEWER: readonly Permission[] = ['org:read', 'member:read', 'record:read', 'usage:read'];
const GRANTS: Record<BuiltInRole, ReadonlySet<Permission>> = {
  owner: new Set(PERMISSIONS),
  admin: new Set(GRANTABLE_PERMISSIONS.filter((one) => one !== 'org:delete')),
  editor: new Set([...VIEWER, 'record:write']),
  viewer: new Set(VIEWER),
};

export function isBuiltInRole(role: string): role is BuiltInRole {
  return BUILT_IN_ROLES.some((one) => one === role);
}

/** @returns what a built-in role allows; undefined for a custom role, which the organization defines */
export function builtInPermissions(role: string): ReadonlySet<Permission> | undefined {
  return isBuiltInRole(role) ? GRANTS[role] : undefined;
}
