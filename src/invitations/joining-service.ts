import { PersonRequiredError } from '../access/access-errors.ts';
import type { Caller } from '../access/caller.ts';
import { type AdminDocument, newAccount } from '../admins/admin-document.ts';
import { InvalidCredentialsError } from '../admins/admin-errors.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { CredentialCheck, Proof } from '../admins/credential-check.ts';
import type { LoginService, SignIn } from '../admins/login-service.ts';
import type { PasswordHasher } from '../admins/password-hasher.ts';
import { assertAcceptablePassword } from '../admins/password-policy.ts';
import { personName } from '../admins/person-name.ts';
import type { Clock } from '../clock.ts';
import { InvalidFieldError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import { tokenHash } from '../one-time-tokens/one-time-tokens.ts';
import { type OrganizationDocument, SERVING_STATES } from '../registry/organization-document.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { retryWhileBusy } from '../retry-while-busy.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import { InvalidTokenError, OrganizationSuspendedError } from '../sessions/session-errors.ts';
import type { InvitationAcceptance, Joining } from './invitation-acceptance.ts';
import {
  InvitationBusyError,
  InvitationForOtherError,
  InvitationNotFoundError,
} from './invitation-errors.ts';
import type { InvitationDocument, InvitationStore } from './invitation-store.ts';

/** What somebody accepts an invitation with. */
export interface AcceptRequest {
  token: string;
  /** Of the account that exists, or for the one that is to be. */
  password?: string;
  /** For a new account. */
  name?: string | null;
  /** Of the second factor of the account that exists. */
  code?: string;
}

/** What an invitation is to. */
export interface InvitationPreview {
  invitation: InvitationDocument;
  organization: OrganizationDocument;
  accountExists: boolean;
}

interface JoiningServiceDeps {
  invitations: InvitationStore;
  acceptance: InvitationAcceptance;
  admins: AdminStore;
  registry: RegistryStore;
  credentials: CredentialCheck;
  passwords: PasswordHasher;
  logins: LoginService;
  clock: Clock;
  ids: IdSource;
}

/**
 * The rules of accepting an invitation. Its token proves that the e-mail address is the person's; who has an account
 * with that address proves to be its owner besides, by being signed in or by the password.
 */
export class JoiningService {
  readonly #deps: JoiningServiceDeps;

  constructor(deps: JoiningServiceDeps) {
    this.#deps = deps;
  }

  /** What the invitation is to, for whoever has its token. @throws InvitationNotFoundError, OrganizationSuspendedError */
  async lookUp(token: string): Promise<InvitationPreview> {
    const { invitation, organization } = await this.#find(token);
    const account = await this.#deps.admins.findByEmail(invitation.email);
    return { invitation, organization, accountExists: account !== null };
  }

  /**
   * Accepts an invitation, once, and signs the person in to the organization.
   *
   * @param caller - who is signed in, if anybody is
   * @throws InvitationNotFoundError, OrganizationSuspendedError, InvitationForOtherError, PersonRequiredError,
   *   InvalidFieldError, PasswordTooCommonError, InvalidCredentialsError, MfaRequiredError, InvalidCodeError,
   *   TooManyAttemptsError, InvalidTokenError, InvitationBusyError, PasswordQueueFullError, QuotaExceededError; nothing has changed after any of them
   * @throws DatabaseUnavailableError when recovery decides whether the person has joined
   */
  async accept(
    request: AcceptRequest,
    caller: Caller | null,
    client: SessionClient,
  ): Promise<SignIn> {
    const { acceptance, logins } = this.#deps;
    let known: Joining | undefined;
    return retryWhileBusy(
      async () => {
        const found = await this.#find(request.token);
        if (found.invitation.accepting !== undefined) return null;
        // Once, however often it is tried: a password is slow to check, and a second factor's code good for one check.
        const joining = known ?? (await this.#whoJoins(found, request, caller, client));
        const outcome = await acceptance.run(found.invitation, joining);
        known = outcome === 'changed' ? undefined : joining;
        if (outcome !== 'joined') return null;
        const era =
          caller?.kind === 'member' ? caller.sessionEra : (joining.admin.session_era ?? null);
        return logins.enter(joining.admin, era, found.organization._id, client);
      },
      () => new InvitationBusyError(),
    );
  }

  async #find(token: string): Promise<Omit<InvitationPreview, 'accountExists'>> {
    const { invitations, registry, clock } = this.#deps;
    const hash = tokenHash('invitation', token);
    const invitation = await invitations.findGood(hash, clock.now());
    const organization = invitation && (await registry.findById(invitation.organization_id));
    if (invitation === null || organization === null) throw new InvitationNotFoundError();
    if (organization.state === 'suspended') throw new OrganizationSuspendedError();
    if (!SERVING_STATES.includes(organization.state)) throw new InvitationNotFoundError();
    return { invitation, organization };
  }

  async #whoJoins(
    { invitation, organization }: Omit<InvitationPreview, 'accountExists'>,
    { password, name = null, code }: AcceptRequest,
    caller: Caller | null,
    client: SessionClient,
  ): Promise<Joining> {
    const { email } = invitation;
    if (caller !== null) return { kind: 'existing', admin: await this.#signedIn(caller, email) };
    const existing = await this.#deps.admins.findByEmail(email);
    if (password === undefined)
      throw new InvalidFieldError(
        '/password',
        existing === null
          ? 'is required for a new account'
          : 'is required: the e-mail address has an account; give its password, or sign in',
      );
    if (existing !== null) {
      const admin = await this.#owner(
        { email, password, ...(code !== undefined && { code }) },
        client,
      );
      if (admin !== null) return { kind: 'existing', admin };
    }
    const { passwords, ids, clock } = this.#deps;
    const account = { _id: ids.objectId(), email, name: personName(name), now: clock.now() };
    const names = [organization.organization_name];
    assertAcceptablePassword(password, { emails: [email], organizationNames: names });
    const admin = newAccount({ ...account, password: await passwords.hash(password) });
    return { kind: 'new', admin };
  }

  async #signedIn(caller: Caller, email: string): Promise<AdminDocument> {
    if (caller.kind !== 'member') throw new PersonRequiredError();
    const admin = await this.#deps.admins.findById(caller.adminId);
    if (admin === null) throw new InvalidTokenError();
    if (admin.email !== email) throw new InvitationForOtherError();
    return admin;
  }

  /** @returns null when the account has been removed meanwhile */
  async #owner(proof: Proof, client: SessionClient): Promise<AdminDocument | null> {
    const { credentials, admins } = this.#deps;
    try {
      return await credentials.verify(proof, client);
    } catch (error) {
      if (!(error instanceof InvalidCredentialsError)) throw error;
      if ((await admins.findByEmail(proof.email)) === null) return null;
      throw error;
    }
  }
}
