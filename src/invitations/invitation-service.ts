import type { ObjectId } from 'mongodb';
import type { Caller } from '../access/caller.ts';
import { normalizeEmail } from '../admins/admin-document.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import type { Page, PageRequest } from '../http/pagination.ts';
import type { IdSource } from '../ids.ts';
import type { Logger } from '../logging/logger.ts';
import type { Mailer } from '../mail/mailer.ts';
import { invitationMail } from '../mail/messages.ts';
import { type Maker, type Makers, makerIs } from '../members/makers.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { type TokenSource, tokenHash } from '../one-time-tokens/one-time-tokens.ts';
import { type OrganizationDocument, SERVING_STATES } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { retryWhileBusy } from '../retry-while-busy.ts';
import { assertHolds } from '../roles/role-errors.ts';
import type { RoleService } from '../roles/role-service.ts';
import type { MemberQuota } from '../usage/member-quota.ts';
import {
  AlreadyMemberError,
  InvitationBusyError,
  InvitationNotFoundError,
} from './invitation-errors.ts';
import type { InvitationDocument, InvitationStore, Validity } from './invitation-store.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
/** How long an invitation is good. */
const VALID_MS = 7 * DAY_MS;
/** How long one that has expired is listed, so that somebody can send it again. */
const LISTED_MS = 30 * DAY_MS;

/** Who is invited, and to what. */
export interface InvitationRequest {
  email: string;
  role: string;
}

/** An invitation, and who sent it. */
export interface Invitation {
  invitation: InvitationDocument;
  inviter: Maker;
  expired: boolean;
}

/** The ids of what one request creates, and of what its earlier attempts may have created. */
export interface CreationIds {
  subjectId: ObjectId;
  earlierSubjectIds: readonly ObjectId[];
}

interface InvitationServiceDeps {
  invitations: InvitationStore;
  memberships: MembershipStore;
  admins: AdminStore;
  makers: Makers;
  roles: RoleService;
  registry: RegistryStore;
  memberQuota: MemberQuota;
  mailer: Mailer;
  tokens: TokenSource;
  publicUrl: string;
  /** Forgets the stored answers that an invitation was made with: repeating the request makes a new one. */
  forgetAnswers: (id: ObjectId) => Promise<void>;
  clock: Clock;
  ids: IdSource;
  logger: Logger;
}

/**
 * The rules of inviting people to an organization. As with members, nobody gives what they do not have themselves, nor
 * disposes of an invitation that gives it. The secret of an invitation is in its mail alone.
 */
export class InvitationService {
  readonly #deps: InvitationServiceDeps;

  constructor(deps: InvitationServiceDeps) {
    this.#deps = deps;
  }

  /** The organization's invitations that have not been accepted, oldest first. */
  async list(organizationId: ObjectId, request: PageRequest): Promise<Page<Invitation>> {
    const { invitations, makers } = this.#deps;
    const page = await invitations.page(organizationId, request);
    const made = await makers.with(organizationId, page.items, ({ invited_by }) => invited_by);
    return { ...page, items: made.map(({ thing, maker }) => this.#viewed(thing, maker)) };
  }

  /**
   * Invites somebody, and sends the mail. When it cannot be sent nothing is left of the invitation.
   *
   * @param creation - when the request may be the repetition of another; what that created is sent again
   * @throws UnknownRoleError, PermissionNotHeldError, AlreadyMemberError, AlreadyInvitedError, OrganizationNotFoundError,
   *   QuotaExceededError, MailRefusedError, MailUnavailableError, MailNotConfiguredError
   */
  async create(
    caller: Caller,
    request: InvitationRequest,
    creation: CreationIds = { subjectId: this.#deps.ids.objectId(), earlierSubjectIds: [] },
  ): Promise<Invitation> {
    const { invitations, memberQuota, clock } = this.#deps;
    const { organizationId } = caller;
    for (const id of creation.earlierSubjectIds)
      if ((await invitations.find(organizationId, id)) !== null) return this.resend(caller, id);
    const email = normalizeEmail(request.email);
    const now = clock.now();
    const { token, validity } = this.#freshToken(now);
    const invitation: InvitationDocument = {
      ...{ _id: creation.subjectId, organization_id: organizationId, email, role: request.role },
      ...{ state: 'pending', ...validity },
      invited_by: makerIs(caller),
      created_at: now,
    };
    await this.#assertDue(caller, invitation);
    // Told early; accepting decides.
    await memberQuota.assertRoom(organizationId);
    await invitations.insert(invitation, now);
    try {
      // Again, because the role, the organization or a membership may have come or gone before it was written.
      const organization = await this.#assertDue(caller, invitation);
      await this.#send(caller, organization, invitation, token);
    } catch (error) {
      await this.#attempt(() => invitations.withdraw(invitation));
      throw error;
    }
    return this.#withInviter(invitation);
  }

  /**
   * Sends an invitation again, with a new link for another seven days; the link before is dead. When the mail cannot be
   * sent everything stays as it was.
   *
   * @throws InvitationNotFoundError, PermissionNotHeldError, InvitationBusyError, OrganizationNotFoundError,
   *   MailRefusedError, MailUnavailableError, MailNotConfiguredError
   */
  async resend(caller: Caller, id: ObjectId): Promise<Invitation> {
    const { invitations, clock } = this.#deps;
    const { token, validity } = this.#freshToken(clock.now());
    const organization = await this.#serving(caller.organizationId);
    const { seen, renewed } = await this.#change(caller, id, async (found) => {
      const changed = await invitations.renew(found, validity);
      return changed && { seen: found, renewed: changed };
    });
    try {
      await this.#send(caller, organization, renewed, token);
    } catch (error) {
      const { token_hash, expires_at, purge_at } = seen;
      await this.#attempt(() => invitations.renew(renewed, { token_hash, expires_at, purge_at }));
      throw error;
    }
    return this.#withInviter(renewed);
  }

  /** Makes an invitation worthless at once. @throws InvitationNotFoundError, PermissionNotHeldError, InvitationBusyError */
  async revoke(caller: Caller, id: ObjectId): Promise<void> {
    const { invitations } = this.#deps;
    await this.#change(
      caller,
      id,
      async ({ organization_id, _id }) => (await invitations.revoke(organization_id, _id)) || null,
    );
    await this.#deps.forgetAnswers(id);
  }

  /** @param attempt - returns null when the invitation has changed since it was seen, or is just being accepted */
  #change<T>(
    caller: Caller,
    id: ObjectId,
    attempt: (seen: InvitationDocument) => Promise<T | null>,
  ): Promise<T> {
    const { invitations, roles } = this.#deps;
    const { organizationId, permissions } = caller;
    return retryWhileBusy(
      async () => {
        const seen = await invitations.find(organizationId, id);
        if (seen === null) throw new InvitationNotFoundError();
        assertHolds(permissions, await roles.allowedBy(organizationId, seen.role));
        return attempt(seen);
      },
      () => new InvitationBusyError(),
    );
  }

  async #assertDue(
    { permissions }: Caller,
    { organization_id, role, email }: InvitationDocument,
  ): Promise<OrganizationDocument> {
    const { roles, admins, memberships } = this.#deps;
    assertHolds(permissions, await roles.assignable(organization_id, role));
    const admin = await admins.findByEmail(email);
    if (admin !== null && (await memberships.find(organization_id, admin._id)) !== null)
      throw new AlreadyMemberError();
    return this.#serving(organization_id);
  }

  async #serving(organizationId: ObjectId): Promise<OrganizationDocument> {
    const organization = await this.#deps.registry.findById(organizationId);
    if (organization === null || !SERVING_STATES.includes(organization.state))
      throw new OrganizationNotFoundError();
    return organization;
  }

  async #send(
    caller: Caller,
    { organization_name: organizationName }: OrganizationDocument,
    { email: to, role, expires_at: expiresAt }: InvitationDocument,
    token: string,
  ): Promise<void> {
    const { admins, mailer, publicUrl } = this.#deps;
    const inviter = caller.kind === 'member' ? await admins.findById(caller.adminId) : null;
    const invitedBy = inviter?.name ?? inviter?.email ?? organizationName;
    await mailer.send(
      invitationMail({ to, publicUrl, token, expiresAt, organizationName, invitedBy, role }),
    );
  }

  #freshToken(now: Date): { token: string; validity: Validity } {
    const token = this.#deps.tokens.token();
    const end = now.getTime() + VALID_MS;
    const validity = {
      token_hash: tokenHash('invitation', token),
      expires_at: new Date(end),
      purge_at: new Date(end + LISTED_MS),
    };
    return { token, validity };
  }

  async #withInviter(invitation: InvitationDocument): Promise<Invitation> {
    const { organization_id, invited_by } = invitation;
    return this.#viewed(invitation, await this.#deps.makers.one(organization_id, invited_by));
  }

  #viewed(invitation: InvitationDocument, inviter: Maker): Invitation {
    return { invitation, inviter, expired: invitation.expires_at <= this.#deps.clock.now() };
  }

  /** Takes something back as well as can be; what stays can be seen, and revoked or sent again. */
  async #attempt(takeBack: () => Promise<unknown>): Promise<void> {
    try {
      await takeBack();
    } catch (error) {
      this.#deps.logger.warn({ err: error }, 'could not take back an invitation that was not sent');
    }
  }
}
