import type { ObjectId } from 'mongodb';
import { assertServing } from '../access/access-service.ts';
import type { MemberCaller } from '../access/caller.ts';
import { type AdminDocument, lastChangeOf, sameChange } from '../admins/admin-document.ts';
import { InvalidCredentialsError } from '../admins/admin-errors.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import type { Page, PageRequest } from '../http/pagination.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { isGone, type OrganizationDocument } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { AccessTokens } from './access-tokens.ts';
import { isOfEra, type SessionClient } from './account-session-store.ts';
import { InvalidRefreshTokenError, SessionNotFoundError } from './session-errors.ts';
import type { SessionRotation, TokenPair } from './session-rotation.ts';
import type { SessionDocument, SessionStore } from './session-store.ts';

interface SessionServiceDeps {
  sessions: SessionStore;
  registry: RegistryStore;
  memberships: MembershipStore;
  admins: AdminStore;
  accessTokens: AccessTokens;
  rotation: SessionRotation<SessionDocument>;
  clock: Clock;
}

/** People's sessions in their organizations, and the tokens that stand for them. */
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
    const { sessions, rotation } = this.#deps;
    const session: SessionDocument = {
      ...rotation.begin(era, client),
      ...{ admin_id: admin._id, organization_id: organization._id },
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
    const { rotation } = this.#deps;
    const presented = await rotation.present(token);
    // Before the token is used up: whoever is refused for now can try again with it.
    const { admin, organization, role } = await this.#holderOf(presented.session);
    const rotated = await rotation.rotate(presented, client);
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
    const isDue = !isGone(state) && membership !== null;
    const isProven =
      admin !== null &&
      sameChange(lastChangeOf(admin), lastChangeOf(seen)) &&
      isOfEra(session, admin.session_era ?? null);
    if (isDue && isProven) return;
    await sessions.end(session._id);
    throw isDue ? new InvalidCredentialsError() : new OrganizationNotFoundError();
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
    const { accessTokens, rotation } = this.#deps;
    const subject = {
      admin_id: session.admin_id.toHexString(),
      email,
      org_id: organization._id.toHexString(),
      organization: organization.organization_name,
      role,
      sid: session._id.toHexString(),
    };
    return rotation.pair(session, {
      ttlSeconds: accessTokens.ttlSeconds,
      issue: (jti, issuedAt) => accessTokens.issue({ ...subject, jti }, issuedAt),
    });
  }
}
