import { createHash } from 'node:crypto';
import { ObjectId } from 'mongodb';
import type { AdminDocument } from '../admins/admin-document.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { type OrganizationDocument, SERVING_STATES } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { RoleName } from '../roles/permissions.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { RefreshTokenClaim, RefreshTokens } from './refresh-tokens.ts';
import {
  InvalidRefreshTokenError,
  InvalidTokenError,
  OrganizationSuspendedError,
  RefreshTokenReusedError,
} from './session-errors.ts';
import type { SessionClient, SessionDocument, SessionStore } from './session-store.ts';

/** For so long after a rotation the same client may present the old token again: two tabs, one lost answer. */
const DOUBLE_SUBMIT_MS = 10_000;

/** What a sign-in or a refresh hands to the client. Times are in seconds. */
export interface TokenPair {
  access_token: string;
  token_type: 'bearer';
  expires_in: number;
  refresh_token: string;
  refresh_expires_in: number;
}

/** Who is asking, as established for one request. */
export interface Caller {
  adminId: ObjectId;
  sessionId: ObjectId;
  organization: OrganizationDocument;
  role: RoleName;
}

interface SessionServiceDeps {
  sessions: SessionStore;
  registry: RegistryStore;
  memberships: MembershipStore;
  admins: AdminStore;
  accessTokens: AccessTokens;
  clock: Clock;
  ids: IdSource;
  refreshTokens: RefreshTokens;
  refreshTtlSeconds: number;
}

/**
 * Sessions, and the tokens that stand for them.
 *
 * A refresh token is valid once (RFC 9700, 4.14.2). It can be computed from the session's place in its line, so a double
 * submit is given the very same pair without any token being stored, and a used token is known as such however old it is.
 */
export class SessionService {
  readonly #deps: SessionServiceDeps;

  constructor(deps: SessionServiceDeps) {
    this.#deps = deps;
  }

  /** Starts a session of a person whose password was just verified, in an organization they belong to. */
  async start(
    admin: AdminDocument,
    organization: OrganizationDocument,
    role: RoleName,
    client: SessionClient,
  ): Promise<TokenPair> {
    const { ids, clock, sessions, refreshTtlSeconds } = this.#deps;
    const now = clock.now();
    const session: SessionDocument = {
      _id: ids.objectId(),
      admin_id: admin._id,
      organization_id: organization._id,
      refresh_generation: 0,
      rotated_at: now,
      client,
      created_at: now,
      expires_at: new Date(now.getTime() + refreshTtlSeconds * 1_000),
    };
    await sessions.insert(session);
    await this.#assertNotDeleted(session);
    return this.#pair(session, admin.email, organization, role);
  }

  /**
   * Decides who an access token speaks for **now**: membership, role, session and organization are looked up at each
   * request, so a removed member, an ended session or a deleted organization is refused at once. The organization is
   * found by id; whoever took its name since is somebody else.
   *
   * @throws InvalidTokenError, TokenExpiredError, OrganizationSuspendedError
   */
  async authenticate(accessToken: string): Promise<Caller> {
    const claims = this.#deps.accessTokens.verify(accessToken);
    const adminId = ObjectId.createFromHexString(claims.admin_id);
    const sessionId = ObjectId.createFromHexString(claims.sid);
    const organizationId = ObjectId.createFromHexString(claims.org_id);
    const [session, membership, organization] = await Promise.all([
      this.#deps.sessions.findLive(sessionId, this.#deps.clock.now()),
      this.#deps.memberships.find(organizationId, adminId),
      this.#deps.registry.findById(organizationId),
    ]);
    if (!session?.admin_id.equals(adminId) || !session.organization_id.equals(organizationId))
      throw new InvalidTokenError();
    if (membership === null || organization === null) throw new InvalidTokenError();
    assertServing(organization);
    return { adminId, sessionId, organization, role: membership.role };
  }

  /**
   * Exchanges a refresh token for a new pair. Two submits within 10 s by one client get the same pair; any other second
   * use ends the session.
   *
   * @throws InvalidRefreshTokenError, RefreshTokenReusedError, OrganizationSuspendedError
   */
  async refresh(token: string, client: SessionClient): Promise<TokenPair> {
    const { sessions, clock, refreshTokens } = this.#deps;
    const claim = refreshTokens.open(token);
    const found = claim && (await sessions.findLive(claim.sessionId, clock.now()));
    if (!claim || !found) throw new InvalidRefreshTokenError();
    // Before the token is used up: whoever is refused for now can try again with it.
    const { admin, organization, role } = await this.#holderOf(found);
    const rotation = { rotated_at: clock.now(), client };
    const rotated =
      (await sessions.rotate(claim.sessionId, claim.generation, rotation)) ??
      (await this.#doubleSubmit(claim, client));
    return this.#pair(rotated, admin.email, organization, role);
  }

  async end(sessionId: ObjectId): Promise<void> {
    await this.#deps.sessions.end(sessionId);
  }

  /** A deletion ends the sessions it finds; one that was inserted after it looked has to end itself. */
  async #assertNotDeleted({ _id, organization_id }: SessionDocument): Promise<void> {
    const organization = await this.#deps.registry.findById(organization_id);
    if (organization !== null && organization.state !== 'deleting') return;
    await this.#deps.sessions.end(_id);
    throw new OrganizationNotFoundError();
  }

  async #doubleSubmit(
    { sessionId, generation }: RefreshTokenClaim,
    client: SessionClient,
  ): Promise<SessionDocument> {
    const { sessions, clock } = this.#deps;
    const session = await sessions.findLive(sessionId, clock.now());
    if (session === null) throw new InvalidRefreshTokenError();
    const sameClient =
      session.client.address === client.address && session.client.user_agent === client.user_agent;
    const age = clock.now().getTime() - session.rotated_at.getTime();
    if (session.refresh_generation === generation + 1 && sameClient && age <= DOUBLE_SUBMIT_MS)
      return session;
    await sessions.end(sessionId);
    throw new RefreshTokenReusedError();
  }

  async #holderOf(session: SessionDocument) {
    const { admins, memberships, registry } = this.#deps;
    const [admin, membership, organization] = await Promise.all([
      admins.findById(session.admin_id),
      memberships.find(session.organization_id, session.admin_id),
      registry.findById(session.organization_id),
    ]);
    if (admin === null || membership === null || organization === null)
      throw new InvalidRefreshTokenError();
    assertServing(organization);
    return { admin, organization, role: membership.role };
  }

  #pair(
    session: SessionDocument,
    email: string,
    organization: OrganizationDocument,
    role: RoleName,
  ): TokenPair {
    const { accessTokens, refreshTokens } = this.#deps;
    const issuedAt = session.rotated_at;
    const refreshToken = refreshTokens.issue({
      sessionId: session._id,
      generation: session.refresh_generation,
    });
    const access = accessTokens.issue(
      {
        admin_id: session.admin_id.toHexString(),
        email,
        org_id: organization._id.toHexString(),
        organization: organization.organization_name,
        role,
        sid: session._id.toHexString(),
        // One for each pair, and the same when a double submit is given the pair again.
        jti: createHash('sha256').update(`jti:${refreshToken}`).digest('hex').slice(0, 32),
      },
      issuedAt,
    );
    return {
      access_token: access,
      token_type: 'bearer',
      expires_in: accessTokens.ttlSeconds,
      refresh_token: refreshToken,
      refresh_expires_in: Math.floor((session.expires_at.getTime() - issuedAt.getTime()) / 1_000),
    };
  }
}

function assertServing(organization: OrganizationDocument): void {
  if (organization.state === 'suspended') throw new OrganizationSuspendedError();
  if (!SERVING_STATES.includes(organization.state)) throw new InvalidTokenError();
}
