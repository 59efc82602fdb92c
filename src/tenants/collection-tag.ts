/** The `$comment` by which a collection says whose it is, in any installation. @see TenantCollections */
export const TAG_OF_ANY = /^tenantry\/[^/]+\/[0-9a-f]{24}$/;
