import { ObjectId } from 'mongodb';
import { PermissionDeniedError } from '../access/access-errors.ts';
import type { AccessService, TokenVerifier } from '../access/access-service.ts';
import type { Caller } from '../access/caller.ts';
import { isApiKey } from '../api-keys/api-key.ts';
import type { Clock } from '../clock.ts';
import { builtInPermissions, type Permission } from '../roles/permissions.ts';
import type { AccessTokenClaims } from '../sessions/access-tokens.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import { WrongOrganizationError } from './library-errors.ts';

interface PrincipalOfOrganization {
  organizationId: ObjectId;
  /** What the bearer may do in the organization. */
  permissions: ReadonlySet<Permission>;
  /** When the token or the key ends; null if never. */
  expiresAt: Date | null;
}

/** A person who is signed in. */
export interface MemberPrincipal extends PrincipalOfOrganization {
  kind: 'member';
  adminId: ObjectId;
  sessionId: ObjectId;
  /** In the organization: `owner`, `admin`, `editor`, `viewer` or one of its own. */
  role: string;
  /** As it was when the token was issued. */
  email: string;
  /** As it was when the token was issued: to show, never to decide by. */
  organizationName: string;
}

/** A machine with an API key. */
export interface ApiKeyPrincipal extends PrincipalOfOrganization {
  kind: 'api_key';
  apiKeyId: ObjectId;
}

/** Whom a token speaks for. */
export type Principal = MemberPrincipal | ApiKeyPrincipal;

/** What a token has to be good for. */
export interface VerifyTokenOptions {
  /** The organization it has to be for. */
  organizationId?: ObjectId | string;
  /** What its bearer has to be allowed. */
  permission?: Permission;
  /**
   * Believes the token until it expires, without a look at the database: a session that was ended and a role that was taken
   * away go on counting until then. Only built-in roles have permissions then, and API keys cannot be verified.
   */
  offline?: boolean;
}

interface PrincipalCheckDeps {
  accessTokens: TokenVerifier;
  access: AccessService;
  recordLastUse: () => Promise<void>;
  clock: Clock;
}

/** How often it is written down when sessions and API keys were last used. */
const LAST_USE_INTERVAL_MS = 60_000;

/** Tells product back ends whom a token speaks for. */
export class PrincipalCheck {
  readonly #deps: PrincipalCheckDeps;
  #recordedAt: number;

  constructor(deps: PrincipalCheckDeps) {
    this.#deps = deps;
    this.#recordedAt = deps.clock.monotonicMs();
  }

  /** @throws InvalidTokenError, TokenExpiredError, OrganizationSuspendedError, WrongOrganizationError, PermissionDeniedError */
  async verify(token: string, options: VerifyTokenOptions): Promise<Principal> {
    if (typeof token !== 'string') throw new InvalidTokenError();
    const principal = await this.#principalOf(token, options.offline === true);
    const { organizationId, permission } = options;
    if (organizationId !== undefined && !isSameId(principal.organizationId, organizationId))
      throw new WrongOrganizationError();
    if (permission !== undefined && !principal.permissions.has(permission))
      throw new PermissionDeniedError(permission);
    return principal;
  }

  /** Writes down what was used since the last time. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Only shown to people, and old by nature: not worth failing for.
    await this.#deps.recordLastUse().catch(() => {});
  }

  async #principalOf(token: string, offline: boolean): Promise<Principal> {
    const { accessTokens, access } = this.#deps;
    if (isApiKey(token)) {
      if (offline) throw new InvalidTokenError('An API key cannot be verified offline.');
      return this.#principal(await access.authenticate(token, 'recent'));
    }
    const claims = await accessTokens.verify(token);
    return offline
      ? principalOfClaims(claims)
      : this.#principal(await access.authenticateSession(claims, 'recent'), claims);
  }

  #principal(caller: Caller, claims?: AccessTokenClaims): Principal {
    this.#recordLastUse();
    const { organizationId, permissions } = caller;
    if (caller.kind === 'api_key') {
      const { kind, apiKeyId, expiresAt } = caller;
      return { kind, apiKeyId, organizationId, permissions, expiresAt };
    }
    if (claims === undefined) throw new Error('a member has a token');
    const { role, sessionId, adminId } = caller;
    return { ...principalOfClaims(claims), adminId, sessionId, organizationId, role, permissions };
  }

  /** Now and then, beside the answer. */
  #recordLastUse(): void {
    const { clock, recordLastUse } = this.#deps;
    const now = clock.monotonicMs();
    if (now - this.#recordedAt < LAST_USE_INTERVAL_MS) return;
    this.#recordedAt = now;
    void recordLastUse().catch(() => {});
  }
}

function principalOfClaims(claims: AccessTokenClaims): MemberPrincipal {
  const { admin_id, sid, org_id, role, email, organization, exp } = claims;
  return {
    ...{ kind: 'member', role, email, organizationName: organization },
    adminId: ObjectId.createFromHexString(admin_id),
    sessionId: ObjectId.createFromHexString(sid),
    organizationId: ObjectId.createFromHexString(org_id),
    permissions: builtInPermissions(role) ?? new Set(),
    expiresAt: new Date(exp * 1_000),
  };
}

function isSameId(id: ObjectId, other: ObjectId | string): boolean {
  return id.toHexString() === String(other).toLowerCase();
}
