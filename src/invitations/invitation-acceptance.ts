import type { ObjectId } from 'mongodb';
import type { AccountRemoval } from '../admins/account-removal.ts';
import type { AdminDocument } from '../admins/admin-document.ts';
import { EmailTakenError } from '../admins/admin-errors.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { Clock } from '../clock.ts';
import { DatabaseUnavailableError } from '../database/database-errors.ts';
import type { IdSource } from '../ids.ts';
import type { Logger } from '../logging/logger.ts';
import type { MembershipDocument, MembershipStore } from '../members/membership-store.ts';
import { isGone } from '../registry/organization-document.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { MemberQuota } from '../usage/member-quota.ts';
import { InvitationNotFoundError } from './invitation-errors.ts';
import type { Acceptance, InvitationDocument, InvitationStore } from './invitation-store.ts';

/** Whoever began an attempt has ended it by then, or is gone. */
const INTERRUPTED_AFTER_MS = 3_000;
/** How long it is known what became of an invitation: much longer than any recovery takes. */
const KEPT_MS = 7 * 24 * 60 * 60 * 1_000;

/** Who joins: somebody whose account is to be made, or one that exists. */
export type Joining = { kind: 'new' | 'existing'; admin: AdminDocument };

/**
 * How an attempt ended. `busy`: another holds the invitation, or is removing the person just now. `changed`: an account
 * has come into being with the e-mail address, or has gone. Nothing is left of the attempt after either.
 */
export type Outcome = 'joined' | 'busy' | 'changed';

/** One attempt, and where it may have left something. */
interface Attempt {
  invitation: Pick<InvitationDocument, '_id' | 'organization_id'>;
  acceptance: Acceptance;
}

interface InvitationAcceptanceDeps {
  invitations: InvitationStore;
  memberships: MembershipStore;
  admins: AdminStore;
  accounts: AccountRemoval;
  registry: RegistryStore;
  memberQuota: MemberQuota;
  clock: Clock;
  ids: IdSource;
  logger: Logger;
}

/**
 * Makes somebody a member by an invitation, in steps that hold on a standalone MongoDB as well. The update that uses the
 * invitation up is the commit point. Until then the membership counts for nothing, and recovery takes back what a crash
 * left; from then on it counts, and recovery only says so on the membership.
 */
export class InvitationAcceptance {
  readonly #deps: InvitationAcceptanceDeps;

  constructor(deps: InvitationAcceptanceDeps) {
    this.#deps = deps;
  }

  /**
   * @param invitation - as found by its token
   * @throws InvitationNotFoundError when the organization is being deleted, QuotaExceededError
   * @throws DatabaseUnavailableError when the outcome is recovery's to decide
   */
  async run(invitation: InvitationDocument, joining: Joining): Promise<Outcome> {
    const { invitations, clock, ids } = this.#deps;
    const acceptance = {
      ...{ attempt: ids.objectId(), admin_id: joining.admin._id },
      since: clock.now(),
    };
    if (!(await invitations.claim(invitation._id, invitation.token_hash, acceptance)))
      return 'busy';
    const attempt = { invitation, acceptance };
    try {
      const outcome = await this.#join(attempt, invitation.role, joining);
      if (outcome !== 'joined') await this.#undo(attempt);
      return outcome;
    } catch (error) {
      // A step without an answer may still happen, the commit among them: only recovery can tell, later.
      if (!(error instanceof DatabaseUnavailableError)) await this.#undo(attempt);
      throw error;
    }
  }

  /** Ends attempts whose instance died. Idempotent; any number of instances may do it at once. */
  async finishInterrupted(): Promise<void> {
    const { invitations, memberships, clock } = this.#deps;
    const before = new Date(clock.now().getTime() - INTERRUPTED_AFTER_MS);
    for (const invitation of await invitations.findInterrupted(before)) {
      const { accepting: acceptance } = invitation;
      if (acceptance === undefined) continue;
      await this.#ending({ invitation, acceptance }, (attempt) => this.#undo(attempt));
    }
    for (const membership of await memberships.findPending(before, ['join']))
      await this.#endJoin(membership);
  }

  async #join(
    { invitation, acceptance }: Attempt,
    role: string,
    joining: Joining,
  ): Promise<Outcome> {
    const { invitations, memberships, admins, registry, memberQuota, clock, ids } = this.#deps;
    const { _id, organization_id } = invitation;
    const { attempt, admin_id, since } = acceptance;
    if (joining.kind === 'new' && !(await this.#makeAccount(joining.admin))) return 'changed';
    await memberships.insert({
      ...{ _id: ids.objectId(), organization_id, admin_id, role, version: 0 },
      created_at: since,
      pending: { kind: 'join', since, invitation_id: _id, attempt },
    });
    // What follows looks at what others may have written before they saw the membership.
    const membership = await memberships.findAny(organization_id, admin_id);
    const state = await registry.stateOf(organization_id);
    if (isGone(state)) throw new InvitationNotFoundError();
    const pending = membership?.pending;
    if (pending?.kind === 'remove') return 'busy';
    // Another acceptance of the same person, whose mark would not survive this one's commit.
    if (pending?.kind === 'join' && !pending.attempt.equals(attempt)) return 'busy';
    // Nobody is added who is a member already.
    const isAdded = pending?.kind === 'join';
    if (isAdded && !(await memberQuota.admits(organization_id, membership?._id))) return 'busy';
    // What was in the place of a new membership may have been removed since, and the account with it.
    if (membership === null || !(await admins.countMembership(admin_id))) return 'changed';
    const purgeAt = new Date(clock.now().getTime() + KEPT_MS);
    if (!(await invitations.commit(_id, acceptance, purgeAt))) return 'busy';
    await memberships.confirmJoin(membership._id, attempt);
    return 'joined';
  }

  /** @returns false when the e-mail address has got an account meanwhile */
  async #makeAccount(admin: AdminDocument): Promise<boolean> {
    try {
      await this.#deps.admins.insert(admin);
      return true;
    } catch (error) {
      if (error instanceof EmailTakenError) return false;
      throw error;
    }
  }

  /**
   * Takes back an attempt that has not been committed and, from the first step on, cannot be any more. What it made goes
   * before the invitation is released, so that a crash in between leaves the way to it.
   */
  async #undo({ invitation, acceptance }: Attempt): Promise<void> {
    const { invitations } = this.#deps;
    const { _id, organization_id } = invitation;
    const { attempt, admin_id } = acceptance;
    if (!(await invitations.beginUndo(_id, attempt)) && (await this.#wasCommitted(_id, attempt)))
      return;
    await this.#removeTraces(organization_id, admin_id, attempt);
    await invitations.release(_id, attempt);
  }

  /** The account goes before the membership, for the same reason; neither goes if it is not only the attempt's. */
  async #removeTraces(organizationId: ObjectId, adminId: ObjectId, attempt: ObjectId) {
    const { memberships, accounts } = this.#deps;
    const membership = await memberships.findAny(organizationId, adminId);
    const { pending } = membership ?? {};
    const made = pending?.kind === 'join' && pending.attempt.equals(attempt) ? membership : null;
    await accounts.removeIfUnattached(adminId, made === null ? undefined : organizationId);
    if (made !== null) await memberships.remove(made._id);
  }

  /** A membership whose attempt was committed is confirmed; one whose attempt cannot be any more is taken back. */
  async #endJoin({ _id, organization_id, admin_id, pending }: MembershipDocument): Promise<void> {
    if (pending?.kind !== 'join') return;
    const { invitations, memberships } = this.#deps;
    const { attempt, invitation_id, since } = pending;
    const invitation = { _id: invitation_id, organization_id };
    await this.#ending({ invitation, acceptance: { attempt, admin_id, since } }, async () => {
      const found = await invitations.findById(invitation_id);
      if (found?.accepted?.attempt.equals(attempt)) await memberships.confirmJoin(_id, attempt);
      // Else the invitation leads to it, and has failed to: it will be tried again.
      else if (!found?.accepting?.attempt.equals(attempt))
        await this.#removeTraces(organization_id, admin_id, attempt);
    });
  }

  async #wasCommitted(invitationId: ObjectId, attempt: ObjectId): Promise<boolean> {
    const found = await this.#deps.invitations.findById(invitationId);
    return found?.accepted?.attempt.equals(attempt) === true;
  }

  async #ending(attempt: Attempt, end: (attempt: Attempt) => Promise<void>): Promise<void> {
    const { logger } = this.#deps;
    const context = { organization_id: attempt.invitation.organization_id.toHexString() };
    try {
      await end(attempt);
      logger.warn(context, 'ended an interrupted acceptance of an invitation');
    } catch (error) {
      logger.error({ ...context, err: error }, 'could not end an acceptance of an invitation');
    }
  }
}
