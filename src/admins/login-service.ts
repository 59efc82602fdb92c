import type { ObjectId } from 'mongodb';
import type { MemberCaller } from '../access/caller.ts';
import type { MembershipDocument, MembershipStore } from '../members/membership-store.ts';
import type { OrganizationDocument } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import { InvalidTokenError, OrganizationSuspendedError } from '../sessions/session-errors.ts';
import type { TokenPair } from '../sessions/session-rotation.ts';
import type { SessionService } from '../sessions/session-service.ts';
import { parseOrganizationName } from '../tenants/organization-name.ts';
import type { AdminDocument } from './admin-document.ts';
import { InvalidCredentialsError } from './admin-errors.ts';
import type { AdminStore } from './admin-store.ts';
import type { CredentialCheck } from './credential-check.ts';

/** What a person signs in with. */
export interface Credentials {
  email: string;
  password: string;
  organization_name?: string;
  /** Of a second factor. */
  code?: string;
}

/** An organization a person may sign in to. */
export interface OrganizationChoice {
  organization: OrganizationDocument;
  role: string;
}

/** A completed sign-in. */
export interface SignIn {
  tokens: TokenPair;
  admin: AdminDocument;
  chosen: OrganizationChoice;
  /** Every organization the person may sign in to, the one chosen among them. */
  choices: readonly OrganizationChoice[];
}

interface LoginServiceDeps {
  admins: AdminStore;
  memberships: MembershipStore;
  registry: RegistryStore;
  sessions: SessionService;
  credentials: CredentialCheck;
}

/** The rules of signing in. */
export class LoginService {
  readonly #deps: LoginServiceDeps;

  constructor(deps: LoginServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Signs in to the organization asked for, else to the one used last, else to the one joined first.
   *
   * Takes the same time and gives the same answer whether the account exists or not (OWASP ASVS 6.3.8).
   *
   * @throws InvalidCredentialsError, MfaRequiredError, InvalidCodeError, OrganizationNotFoundError (not a member, or no
   *   such organization), OrganizationSuspendedError, InvalidFieldError, PasswordQueueFullError, TooManyAttemptsError
   */
  async login(credentials: Credentials, client: SessionClient): Promise<SignIn> {
    const wanted =
      credentials.organization_name === undefined
        ? undefined
        : parseOrganizationName(credentials.organization_name);
    const admin = await this.#deps.credentials.verify(credentials, client);
    const choices = await this.#choicesOf(admin._id);
    const chosen =
      wanted === undefined
        ? preferred(choices, admin.last_organization_id)
        : choices.find(({ organization }) => organization.slug === wanted.slug);
    if (chosen === undefined) {
      // Without a name it means that the person belongs to nothing that could be signed in to.
      throw wanted === undefined ? new InvalidCredentialsError() : new OrganizationNotFoundError();
    }
    if (chosen.organization.state === 'suspended') throw new OrganizationSuspendedError();
    const tokens = await this.#start(admin, admin.session_era ?? null, chosen, client);
    return { tokens, admin, chosen, choices };
  }

  /**
   * Signs a person who is signed in to another of their organizations.
   *
   * @param wanted - one of the two names it
   * @throws OrganizationNotFoundError, OrganizationSuspendedError, InvalidFieldError, InvalidTokenError
   */
  async switchTo(
    { adminId, sessionEra }: MemberCaller,
    wanted: { organization_id?: string; organization_name?: string },
    client: SessionClient,
  ): Promise<SignIn> {
    const admin = await this.#deps.admins.findById(adminId);
    if (admin === null) throw new InvalidTokenError();
    const slug =
      wanted.organization_name === undefined
        ? undefined
        : parseOrganizationName(wanted.organization_name).slug;
    const is = ({ organization }: OrganizationChoice) =>
      slug === undefined
        ? organization._id.toHexString() === wanted.organization_id
        : organization.slug === slug;
    return this.#enter(admin, sessionEra, is, client);
  }

  /**
   * Signs in a person who has just proved who they are.
   *
   * @param era - of the session or the password that proved it
   * @throws OrganizationNotFoundError, OrganizationSuspendedError; InvalidCredentialsError when what proved it is not good
   *   any more
   */
  enter(
    admin: AdminDocument,
    era: ObjectId | null,
    organizationId: ObjectId,
    client: SessionClient,
  ): Promise<SignIn> {
    const is = ({ organization }: OrganizationChoice) => organization._id.equals(organizationId);
    return this.#enter(admin, era, is, client);
  }

  async #enter(
    admin: AdminDocument,
    era: ObjectId | null,
    is: (choice: OrganizationChoice) => boolean,
    client: SessionClient,
  ): Promise<SignIn> {
    const choices = await this.#choicesOf(admin._id);
    const chosen = choices.find(is);
    if (chosen === undefined) throw new OrganizationNotFoundError();
    if (chosen.organization.state === 'suspended') throw new OrganizationSuspendedError();
    return { tokens: await this.#start(admin, era, chosen, client), admin, chosen, choices };
  }

  /** Remembers the choice before the session looks whether the organization is being deleted: so no trace is left. */
  async #start(
    admin: AdminDocument,
    era: ObjectId | null,
    { organization, role }: OrganizationChoice,
    client: SessionClient,
  ) {
    const { admins, sessions } = this.#deps;
    await admins.rememberOrganization(admin._id, organization._id);
    try {
      return await sessions.start(admin, era, organization, role, client);
    } catch (error) {
      if (error instanceof OrganizationNotFoundError)
        await admins.forgetOrganization(admin._id, organization._id);
      throw error;
    }
  }

  async #choicesOf(adminId: ObjectId): Promise<OrganizationChoice[]> {
    const { memberships, registry } = this.#deps;
    const joined = await memberships.ofAdmin(adminId);
    const found = await registry.findVisible(joined.map((one) => one.organization_id));
    const byId = new Map(found.map((one) => [one._id.toHexString(), one]));
    return joined.flatMap(({ organization_id, role }: MembershipDocument) => {
      const organization = byId.get(organization_id.toHexString());
      return organization === undefined ? [] : [{ organization, role }];
    });
  }
}

function preferred(choices: readonly OrganizationChoice[], last: ObjectId | null) {
  const serving = choices.filter(({ organization }) => organization.state !== 'suspended');
  const usedLast = last && serving.find(({ organization }) => organization._id.equals(last));
  return usedLast ?? serving[0] ?? choices[0];
}
