import { AccessCache } from '../access/access-cache.ts';
import type { AccessChanged } from '../access/access-changes.ts';
import type { SessionAccess } from '../access/access-service.ts';
import { ADMINS } from '../admins/admin-store.ts';
import type { KeyAccess } from '../api-keys/api-key-access.ts';
import { API_KEYS } from '../api-keys/api-key-store.ts';
import { MasterChanges } from '../database/master-changes.ts';
import { MEMBERSHIPS } from '../members/membership-store.ts';
import type { QuotaDocument } from '../registry/organization-document.ts';
import { ORGANIZATIONS } from '../registry/registry-store.ts';
import { ROLES } from '../roles/role-store.ts';
import { SESSIONS } from '../sessions/session-store.ts';
import type { Foundation } from './foundation.ts';

/** Where it is written who may do what. */
const ACCESS_COLLECTIONS = [ORGANIZATIONS, ADMINS, MEMBERSHIPS, SESSIONS, ROLES, API_KEYS];
/** What may change of a document without a change of who may do what. */
const UNIMPORTANT_FIELDS = [
  'last_used_at',
  'last_organization_id',
  'membership_version',
  'known_networks',
  'search_keys',
  'measured',
  'measure_at',
  'last_active_at',
];
/** What this instance remembers of who may do what, and how it learns that something has changed. */
export function createAccessCaches({
  master,
  clock,
  logger,
}: Pick<Foundation, 'master' | 'clock' | 'logger'>) {
  // Read when an answer is looked for, which is after everything here has been made.
  const horizon = {
    get seenUntilMs(): number {
      return changes.seenUntilMs;
    },
  };
  const sessionAccess = new AccessCache<SessionAccess>({ clock, horizon });
  const keyAccess = new AccessCache<KeyAccess>({ clock, horizon });
  const quotas = new AccessCache<QuotaDocument>({ clock, horizon });
  const caches = [sessionAccess, keyAccess, quotas];
  const changed: AccessChanged = (...ids) => {
    for (const cache of caches) cache.invalidate(ids);
  };
  const changes = new MasterChanges({
    ...{ master, clock, logger },
    collections: ACCESS_COLLECTIONS.map(({ name }) => name),
    unimportant: UNIMPORTANT_FIELDS,
    onChange: (ids) => changed(...ids),
    onGap: () => {
      for (const cache of caches) cache.clear();
    },
  });
  return { sessionAccess, keyAccess, quotas, changed, changes };
}
