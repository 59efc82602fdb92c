import { createHash } from 'node:crypto';
import type { ObjectId } from 'mongodb';
import { assertServing } from '../access/access-service.ts';
import type { MemberCaller } from '../access/caller.ts';
import { type AdminDocument, lastChangeOf, sameChange } from '../admins/admin-document.ts';
import { InvalidCredentialsError } from '../admins/admin-errors.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import type { Page, PageRequest } from '../http/pagination.ts';
import type { IdSource } from '../ids.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import type { OrganizationDocument } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { RefreshTokenClaim, RefreshTokens } from './refresh-tokens.ts';
import {
  InvalidRefreshTokenError,
  RefreshTokenReusedError,
  SessionNotFoundError,
} from './session-errors.ts';
import {
  endOf,
  isOfEra,
  type SessionClient,
  type SessionDocument,
  type SessionStore,
} from './session-store.ts';

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
  idleTtlSeconds: number;
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

  /**
   * Starts a session of a person who has proved who they are, in an organization they belong to.
   *
   * @param admin - as it was when they proved it
   * @param era - of the session or the password that proved it
   * @throws OrganizationNotFoundError, InvalidCredentialsError when what proved it is not good any more
   */
  async start(
    admin: AdminDocument,
    era: ObjectId | null,
    organization: OrganizationDocument,
    role: string,
    client: SessionClient,
  ): Promise<TokenPair> {
    const { ids, clock, sessions, refreshTtlSeconds } = this.#deps;
    const now = clock.now();
    const session: SessionDocument = {
      _id: ids.objectId(),
      admin_id: admin._id,
      organization_id: organization._id,
      era,
      refresh_generation: 0,
      rotated_at: now,
      client,
      created_at: now,
      expires_at: new Date(now.getTime() + refreshTtlSeconds * 1_000),
      idle_expires_at: this.#idleEnd(now),
      last_used_at: now,
    };
    await sessions.insert(session);
    await this.#assertStillDue(session, admin);
    return this.#pair(session, admin.email, organization, role);
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
    const now = clock.now();
    const rotation = { rotated_at: now, client, idle_expires_at: this.#idleEnd(now) };
    const rotated =
      (await sessions.rotate(claim.sessionId, claim.generation, rotation)) ??
      (await this.#doubleSubmit(claim, client));
    return this.#pair(rotated, admin.email, organization, role);
  }

  async end(sessionId: ObjectId): Promise<void> {
    await this.#deps.sessions.end(sessionId);
  }

  /** A person's sessions in all their organizations, oldest first. */
  list(adminId: ObjectId, request: PageRequest): Promise<Page<SessionDocument>> {
    return this.#deps.sessions.page(adminId, request, this.#deps.clock.now());
  }

  /** Ends one of a person's own sessions. @throws SessionNotFoundError */
  async endOwn(adminId: ObjectId, sessionId: ObjectId): Promise<void> {
    if (!(await this.#deps.sessions.endOwn(adminId, sessionId))) throw new SessionNotFoundError();
  }

  /** Ends a person's sessions, all but one. */
  async endOthers({ adminId, sessionId }: MemberCaller): Promise<void> {
    await this.#deps.sessions.endOthers(adminId, sessionId);
  }

  #idleEnd(now: Date): Date {
    return new Date(now.getTime() + this.#deps.idleTtlSeconds * 1_000);
  }

  /**
   * A deletion, a removal of the member or a change of the password ends the sessions it finds; one that was inserted
   * after they looked has to end itself.
   */
  async #assertStillDue(session: SessionDocument, seen: AdminDocument): Promise<void> {
    const { registry, memberships, admins, sessions } = this.#deps;
    const { organization_id, admin_id } = session;
    const [state, membership, admin] = await Promise.all([
      registry.stateOf(organization_id),
      memberships.find(organization_id, admin_id),
      admins.findById(admin_id),
    ]);
    const isDue = state !== null && state !== 'deleting' && membership !== null;
    const isProven =
      admin !== null &&
      sameChange(lastChangeOf(admin), lastChangeOf(seen)) &&
      isOfEra(session, admin.session_era ?? null);
    if (isDue && isProven) return;
    await sessions.end(session._id);
    throw isDue ? new InvalidCredentialsError() : new OrganizationNotFoundError();
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
    if (!isOfEra(session, admin.session_era ?? null)) throw new InvalidRefreshTokenError();
    assertServing(organization.state);
    return { admin, organization, role: membership.role };
  }

  #pair(
    session: SessionDocument,
    email: string,
    organization: OrganizationDocument,
    role: string,
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
      refresh_expires_in: Math.floor((endOf(session).getTime() - issuedAt.getTime()) / 1_000),
    };
  }
}
