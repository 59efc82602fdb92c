import type { MemberCaller } from '../access/caller.ts';
import type { Clock } from '../clock.ts';
import { InvalidFieldError } from '../errors.ts';
import type { Page, PageRequest } from '../http/pagination.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import type { SessionClient, SessionStore } from '../sessions/session-store.ts';
import { assertVisibleText } from '../visible-text.ts';
import type { AdminDocument } from './admin-document.ts';
import type { AdminStore } from './admin-store.ts';
import type { OrganizationChoice } from './login-service.ts';
import type { PasswordHasher } from './password-hasher.ts';
import type { Reauthentication } from './reauthentication.ts';

/** A person's changes of their own account; what is absent stays as it is. */
export interface AccountChange {
  name?: string | null;
  password?: string;
  current_password?: string;
  /** Of the second factor, if there is one: needed with a new password. */
  code?: string;
}

/** A person, and where they are signed in. */
export interface Account extends OrganizationChoice {
  admin: AdminDocument;
}

interface AccountServiceDeps {
  admins: AdminStore;
  memberships: MembershipStore;
  registry: RegistryStore;
  sessions: SessionStore;
  reauthentication: Reauthentication;
  passwords: PasswordHasher;
  clock: Clock;
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
    return { admin, organization, role };
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
   * Changes name and password. A new password needs the present one, and a code if there is a second factor; it ends the
   * person's other sessions.
   *
   * @throws InvalidFieldError, MfaRequiredFieldError, InvalidCodeFieldError, InvalidTokenError
   */
  async change(
    caller: MemberCaller,
    change: AccountChange,
    client: SessionClient,
  ): Promise<Account> {
    const { admins, clock } = this.#deps;
    const name = change.name === undefined ? undefined : nameOf(change.name);
    if (change.password !== undefined) await this.#changePassword(caller, change, client);
    else assertNoProof(change);
    if (name !== undefined && (await admins.setName(caller.adminId, name, clock.now())) === null)
      throw new InvalidTokenError();
    return this.get(caller);
  }

  async #changePassword(
    { adminId, sessionId }: MemberCaller,
    { password = '', current_password, code }: AccountChange,
    client: SessionClient,
  ): Promise<void> {
    const { admins, reauthentication, passwords, sessions, clock } = this.#deps;
    if (current_password === undefined)
      throw new InvalidFieldError('/current_password', 'is required to change the password');
    const proof = { current_password, ...(code !== undefined && { code }) };
    await reauthentication.prove(adminId, proof, client);
    const hash = await passwords.hash(password);
    if (!(await admins.changeCredentials(adminId, { password: hash }, clock.now())))
      throw new InvalidTokenError();
    await sessions.endOthers(adminId, sessionId);
  }
}

/** @throws InvalidFieldError when something is proven that nothing is changed with */
function assertNoProof({ current_password, code }: AccountChange): void {
  for (const [field, value] of Object.entries({ current_password, code }))
    if (value !== undefined)
      throw new InvalidFieldError(`/${field}`, 'is only needed with a new password');
}

/** @throws InvalidFieldError when it is blank, or holds characters that make it look like another one */
function nameOf(name: string | null): string | null {
  if (name === null) return null;
  const trimmed = name.normalize('NFC').trim();
  assertVisibleText('/name', trimmed);
  return trimmed;
}
