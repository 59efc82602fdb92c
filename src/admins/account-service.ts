import type { MemberCaller } from '../access/caller.ts';
import type { Clock } from '../clock.ts';
import { InvalidFieldError } from '../errors.ts';
import type { Page, PageRequest } from '../http/pagination.ts';
import type { IdSource } from '../ids.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import { type AdminDocument, lastChangeOf, normalizeEmail } from './admin-document.ts';
import type { AdminStore } from './admin-store.ts';
import type { EmailChangeService } from './email-change-service.ts';
import type { OrganizationChoice } from './login-service.ts';
import type { PasswordChange } from './password-change.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { assertAcceptablePassword } from './password-policy.ts';
import { personName } from './person-name.ts';
import type { Reauthentication } from './reauthentication.ts';

/** A person's changes of their own account; what is absent stays as it is. */
export interface AccountChange {
  name?: string | null;
  /** Counts once it has been confirmed by mail. */
  email?: string;
  password?: string;
  current_password?: string;
  /** Of the second factor, if there is one: needed with a new password or e-mail address. */
  code?: string;
}

/** A person, and where they are signed in. */
export interface Account extends OrganizationChoice {
  admin: AdminDocument;
  /** The address that waits to be confirmed. */
  pendingEmail: string | null;
}

interface AccountServiceDeps {
  admins: AdminStore;
  memberships: MembershipStore;
  registry: RegistryStore;
  reauthentication: Reauthentication;
  passwords: PasswordHasher;
  emailChanges: EmailChangeService;
  passwordChange: PasswordChange;
  clock: Clock;
  ids: IdSource;
}

/** The rules of a person's own account. */
export class AccountService {
  readonly #deps: AccountServiceDeps;

  constructor(deps: AccountServiceDeps) {
    this.#deps = deps;
  }

  /** @throws InvalidTokenError, OrganizationNotFoundError when they have gone since the token was looked at */
  async get({ adminId, organizationId, role }: MemberCaller): Promise<Account> {
    const { admins, registry } = this.#deps;
    const [admin, organization] = await Promise.all([
      admins.findById(adminId),
      registry.findById(organizationId),
    ]);
    if (admin === null) throw new InvalidTokenError();
    if (organization === null) throw new OrganizationNotFoundError();
    const pendingEmail = await this.#deps.emailChanges.pendingOf(admin);
    return { admin, organization, role, pendingEmail };
  }

  /** The organizations a person may sign in to, in the order they joined. */
  async organizations(
    { adminId }: MemberCaller,
    request: PageRequest,
  ): Promise<Page<OrganizationChoice>> {
    const { memberships, registry } = this.#deps;
    const page = await memberships.page({ admin_id: adminId }, request);
    const ids = page.items.map(({ organization_id }) => organization_id);
    const found = await registry.findVisible(ids);
    const byId = new Map(found.map((one) => [one._id.toHexString(), one]));
    const items = page.items.flatMap(({ organization_id, role }) => {
      const organization = byId.get(organization_id.toHexString());
      return organization === undefined ? [] : [{ organization, role }];
    });
    return { ...page, items };
  }

  /**
   * Changes name and password, and asks for the confirmation of another e-mail address. Both of the latter need the present
   * password, and a code if there is a second factor; a new password ends the person's other sessions.
   *
   * @throws InvalidFieldError, PasswordTooCommonError, MfaRequiredFieldError, InvalidCodeFieldError, InvalidTokenError,
   *   CredentialsChangedError, TooManyAttemptsError, PasswordQueueFullError, MailRefusedError, MailUnavailableError, MailNotConfiguredError; nothing has changed after any of them
   */
  async change(
    caller: MemberCaller,
    change: AccountChange,
    client: SessionClient,
  ): Promise<Account> {
    const { admins, clock } = this.#deps;
    const name = change.name === undefined ? undefined : personName(change.name);
    if (change.password !== undefined || change.email !== undefined)
      await this.#changeCredentials(caller, change, client);
    else assertNoProof(change);
    if (name !== undefined && (await admins.setName(caller.adminId, name, clock.now())) === null)
      throw new InvalidTokenError();
    return this.get(caller);
  }

  async #changeCredentials(
    caller: MemberCaller,
    change: AccountChange,
    client: SessionClient,
  ): Promise<void> {
    const { reauthentication, passwords, passwordChange, emailChanges, ids } = this.#deps;
    const { current_password, password, code } = change;
    if (current_password === undefined)
      throw new InvalidFieldError(
        '/current_password',
        'is required to change the password or the e-mail address',
      );
    const email = change.email === undefined ? undefined : normalizeEmail(change.email);
    // Before the proof, which uses a code up.
    if (password !== undefined) await this.#assertAcceptable(password, caller, email);
    const proof = { current_password, ...(code !== undefined && { code }) };
    const admin = await reauthentication.prove(caller.adminId, proof, client);
    const hash = password === undefined ? undefined : await passwords.hash(password);
    const changeId = ids.objectId();
    // First, because its mail may fail; what it waits for is the change of the password that follows.
    if (email !== undefined)
      await emailChanges.request(admin, email, hash === undefined ? lastChangeOf(admin) : changeId);
    if (hash !== undefined)
      await passwordChange.run(admin, { sessionId: caller.sessionId, password: hash, changeId });
  }

  async #assertAcceptable(
    password: string,
    caller: MemberCaller,
    email: string | undefined,
  ): Promise<void> {
    const { admin, organization } = await this.get(caller);
    assertAcceptablePassword(password, {
      emails: [admin.email, ...(email === undefined ? [] : [email])],
      organizationNames: [organization.organization_name],
    });
  }
}

/** @throws InvalidFieldError when something is proven that nothing is changed with */
function assertNoProof({ current_password, code }: AccountChange): void {
  for (const [field, value] of Object.entries({ current_password, code }))
    if (value !== undefined)
      throw new InvalidFieldError(
        `/${field}`,
        'is only needed with a new password or e-mail address',
      );
}
