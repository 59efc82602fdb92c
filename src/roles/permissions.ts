/** Everything a member can be allowed to do. A route names the one it needs; see `http/authentication.ts`. */
export const PERMISSIONS = ['org:read', 'org:update', 'org:delete'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** The built-in roles, strongest first. */
export const ROLES = ['owner', 'admin', 'editor', 'viewer'] as const;
export type RoleName = (typeof ROLES)[number];

const GRANTS: Record<RoleName, readonly Permission[]> = {
  owner: PERMISSIONS,
  admin: ['org:read', 'org:update'],
  editor: ['org:read'],
  viewer: ['org:read'],
};

export function roleGrants(role: RoleName, permission: Permission): boolean {
  return GRANTS[role].includes(permission);
}
