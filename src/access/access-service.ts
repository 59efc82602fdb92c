import { ObjectId } from 'mongodb';
import type { AdminStore } from '../admins/admin-store.ts';
import { isApiKey } from '../api-keys/api-key.ts';
import type { ApiKeyAccess } from '../api-keys/api-key-access.ts';
import type { Clock } from '../clock.ts';
import type { MembershipDocument, MembershipStore } from '../members/membership-store.ts';
import type { OperatorAccess } from '../operators/operator-access.ts';
import { OrganizationRequiredError } from '../operators/operator-errors.ts';
import { type OrganizationState, SERVING_STATES } from '../registry/organization-document.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { builtInPermissions, type Permission } from '../roles/permissions.ts';
import type { RoleStore } from '../roles/role-store.ts';
import type { AccessTokenClaims } from '../sessions/access-tokens.ts';
import { endOf, isOfEra } from '../sessions/account-session-store.ts';
import { InvalidTokenError, OrganizationSuspendedError } from '../sessions/session-errors.ts';
import type { SessionStore } from '../sessions/session-store.ts';
import type { AccessCache, Lookup } from './access-cache.ts';
import type { Caller, MemberCaller, OperatorCaller } from './caller.ts';
import type { LastUse } from './last-use.ts';

/**
 * How old the answer to "who may do what" may be. `current`: read for this request. `recent`: up to a second old, and
 * current as far as this instance's own changes go.
 */
export type Freshness = 'current' | 'recent';

/** What is known of a session: who is signed in, to what, and what they may do there. */
export interface SessionAccess {
  caller: MemberCaller;
  organizationState: OrganizationState;
  /** When the session ends unless it is refreshed. */
  expiresAt: Date;
}

/** Which session a token names. */
export type SessionClaims = Pick<AccessTokenClaims, 'sid' | 'admin_id' | 'org_id'>;

/** What tells a good access token from any other text. */
export interface TokenVerifier {
  /** @throws InvalidTokenError, TokenExpiredError */
  verify(token: string): AccessTokenClaims | Promise<AccessTokenClaims>;
}

interface AccessServiceDeps {
  accessTokens: TokenVerifier;
  sessions: SessionStore;
  admins: AdminStore;
  memberships: MembershipStore;
  registry: RegistryStore;
  roles: RoleStore;
  sessionAccess: AccessCache<SessionAccess>;
  lastUse: LastUse;
  organizationUse: LastUse;
  apiKeys: ApiKeyAccess;
  /** Absent where operators have no business: their tokens are none there. */
  operators?: OperatorAccess;
  clock: Clock;
}

/**
 * Decides who an access token or an API key speaks for **now**. An access token only names a session; session, membership, role and organization
 * decide, so a removed member, an ended session, another role or a deleted organization count without waiting for the
 * token to expire. The organization is found by id; whoever took its name since is somebody else.
 */
export class AccessService {
  readonly #deps: AccessServiceDeps;

  constructor(deps: AccessServiceDeps) {
    this.#deps = deps;
  }

  /**
   * For what is done in an organization.
   *
   * @throws InvalidTokenError, TokenExpiredError, OrganizationSuspendedError, OrganizationRequiredError
   */
  async authenticate(token: string, freshness: Freshness): Promise<Caller> {
    const caller = await this.identify(token, freshness);
    if (caller.kind === 'operator') throw new OrganizationRequiredError();
    return caller;
  }

  /** As {@link authenticate}, of operators as well. @throws InvalidTokenError, TokenExpiredError, OrganizationSuspendedError */
  async identify(token: string, freshness: Freshness): Promise<Caller | OperatorCaller> {
    const { accessTokens, apiKeys, operators, organizationUse } = this.#deps;
    if (isApiKey(token)) {
      const machine = await apiKeys.authenticate(token, freshness);
      organizationUse.touch(machine.organizationId);
      return machine;
    }
    let claims: AccessTokenClaims;
    try {
      claims = await accessTokens.verify(token);
    } catch (error) {
      // Last, for members ask far more often.
      const operator =
        error instanceof InvalidTokenError ? await operators?.authenticate(token) : undefined;
      if (operator === undefined) throw error;
      return operator;
    }
    return this.authenticateSession(claims, freshness);
  }

  /**
   * As {@link authenticate}, for a member's token that has been verified.
   *
   * @throws InvalidTokenError, OrganizationSuspendedError
   */
  async authenticateSession(claims: SessionClaims, freshness: Freshness): Promise<MemberCaller> {
    const { sessionAccess, clock, lastUse, organizationUse } = this.#deps;
    const load = () => this.#lookUp(claims.sid, claims.admin_id, claims.org_id);
    const access =
      freshness === 'recent'
        ? await sessionAccess.get(`${claims.sid} ${claims.admin_id} ${claims.org_id}`, load)
        : (await load()).value;
    if (access.expiresAt <= clock.now()) throw new InvalidTokenError();
    assertServing(access.organizationState);
    lastUse.touch(access.caller.sessionId);
    organizationUse.touch(access.caller.organizationId);
    return access.caller;
  }

  async #lookUp(sid: string, admin: string, org: string): Promise<Lookup<SessionAccess>> {
    const { sessions, memberships, registry, admins, clock } = this.#deps;
    const [sessionId, adminId, organizationId] = [sid, admin, org].map((hex) =>
      ObjectId.createFromHexString(hex),
    ) as [ObjectId, ObjectId, ObjectId];
    const [seen, membership, organizationState, era] = await Promise.all([
      sessions.findLive(sessionId, clock.now()),
      memberships.find(organizationId, adminId),
      registry.stateOf(organizationId),
      admins.eraOf(adminId),
    ]);
    // A session that outlives a change of credentials is told of the new era before it begins: read together, the session
    // may have been seen before, and the era after.
    const isSeenLate = seen !== null && era !== undefined && !isOfEra(seen, era);
    const session = isSeenLate ? await sessions.findLive(sessionId, clock.now()) : seen;
    if (!session?.admin_id.equals(adminId) || !session.organization_id.equals(organizationId))
      throw new InvalidTokenError();
    if (membership === null || organizationState === null) throw new InvalidTokenError();
    if (era === undefined || !isOfEra(session, era)) throw new InvalidTokenError();
    const { permissions, dependsOn } = await this.#permissionsOf(membership);
    return {
      value: {
        caller: {
          ...{ kind: 'member', adminId, sessionId, sessionEra: era, organizationId },
          ...{ role: membership.role, permissions },
        },
        organizationState,
        expiresAt: endOf(session),
      },
      dependsOn: dependsOn && [
        ...[sessionId, membership._id, organizationId, adminId],
        ...dependsOn,
      ],
    };
  }

  /** A role that was deleted allows nothing. */
  async #permissionsOf({ organization_id, role }: MembershipDocument) {
    const builtIn = builtInPermissions(role);
    if (builtIn !== undefined) return { permissions: builtIn, dependsOn: [] };
    const custom = await this.#deps.roles.find(organization_id, role);
    const permissions: ReadonlySet<Permission> = new Set(custom?.permissions);
    return { permissions, dependsOn: custom && [custom._id] };
  }
}

/** @throws OrganizationSuspendedError, InvalidTokenError unless the organization serves its members */
export function assertServing(state: OrganizationState): void {
  if (state === 'suspended') throw new OrganizationSuspendedError();
  if (!SERVING_STATES.includes(state)) throw new InvalidTokenError();
}
