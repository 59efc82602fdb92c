import { AccessService, type TokenVerifier } from '../access/access-service.ts';
import { LastUse } from '../access/last-use.ts';
import { ApiKeyAccess } from '../api-keys/api-key-access.ts';
import type { Clock } from '../clock.ts';
import type { OperatorAccess } from '../operators/operator-access.ts';
import type { createAccessCaches } from './access-caches.ts';
import type { Stores } from './stores.ts';

interface AccessParts {
  accessTokens: TokenVerifier;
  accessCaches: Pick<ReturnType<typeof createAccessCaches>, 'sessionAccess' | 'keyAccess'>;
  /** Absent: no token of an operator is known. */
  operators?: OperatorAccess;
}

/** Who is asking, and what they may do. */
export function createAccess(
  clock: Clock,
  { sessions, admins, memberships, registry, roles, apiKeys: keys, activity }: Stores,
  { accessTokens, accessCaches: { sessionAccess, keyAccess }, operators }: AccessParts,
) {
  const sessionUse = new LastUse({ clock, record: (uses) => sessions.recordUse(uses) });
  const keyUse = new LastUse({ clock, record: (uses) => keys.recordUse(uses) });
  const organizationUse = new LastUse({ clock, record: (uses) => activity.recordUse(uses) });
  const access = new AccessService({
    ...{ accessTokens, sessions, admins, memberships, registry, roles },
    ...{ sessionAccess, lastUse: sessionUse, organizationUse, clock },
    ...(operators && { operators }),
    apiKeys: new ApiKeyAccess({ keys, registry, keyAccess, lastUse: keyUse, clock }),
  });
  /** Writes down what was used since the last time; a timer does it as well. */
  const recordLastUse = async () => {
    await Promise.all([sessionUse.flush(), keyUse.flush(), organizationUse.flush()]);
  };
  return { access, recordLastUse };
}
