import type { ObjectId } from 'mongodb';
import { PersonRequiredError } from '../access/access-errors.ts';
import type { Caller } from '../access/caller.ts';
import {
  type AdminDocument,
  lastChangeOf,
  normalizeEmail,
  sameChange,
} from '../admins/admin-document.ts';
import { CredentialsChangedError, EmailTakenError } from '../admins/admin-errors.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { CredentialNotices } from '../admins/credential-notices.ts';
import type { PasswordHasher } from '../admins/password-hasher.ts';
import { assertAcceptablePassword } from '../admins/password-policy.ts';
import type { Reauthentication } from '../admins/reauthentication.ts';
import type { Clock } from '../clock.ts';
import { InvalidFieldError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import type {
  CredentialChange,
  OrganizationDocument,
  OrganizationTarget,
} from '../registry/organization-document.ts';
import { OrganizationBusyError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { retryWhileBusy } from '../retry-while-busy.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import type { SessionStore } from '../sessions/session-store.ts';
import { identityOf } from '../tenants/lifecycle/organization-identity.ts';
import type { OrganizationUpdate } from '../tenants/lifecycle/organization-update.ts';
import { type OrganizationName, parseOrganizationName } from '../tenants/organization-name.ts';
import { assertVisibleText } from '../visible-text.ts';
import { assertMetadata } from './metadata.ts';
import { assertIsName, type OrganizationService } from './organization-service.ts';

/** A change of an organization and of the caller's own credentials; what is absent stays as it is. */
export interface OrganizationChangeRequest {
  organization_name?: string;
  new_organization_name?: string;
  metadata?: Record<string, unknown>;
  external_id?: string | null;
  email?: string;
  password?: string;
  /** Proof of who it is, which those with a second factor have to give. */
  current_password?: string;
  code?: string;
}

interface OrganizationUpdateServiceDeps {
  organizations: OrganizationService;
  registry: RegistryStore;
  admins: AdminStore;
  sessions: SessionStore;
  passwords: PasswordHasher;
  reauthentication: Reauthentication;
  update: OrganizationUpdate;
  notices: CredentialNotices;
  clock: Clock;
  ids: IdSource;
}

/** The rules of changing an organization. */
export class OrganizationUpdateService {
  readonly #deps: OrganizationUpdateServiceDeps;

  constructor(deps: OrganizationUpdateServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Changes everything asked for, or nothing.
   *
   * @returns the organization as it is now
   * @throws InvalidFieldError, PasswordTooCommonError, OtherOrganizationError, OrganizationNameTakenError,
   *   CollectionNameTakenError, ConfusableNameError, ExternalIdTakenError, EmailTakenError, OrganizationBusyError, OrganizationNotFoundError
   */
  async update(
    caller: Caller,
    request: OrganizationChangeRequest,
    client: SessionClient,
  ): Promise<OrganizationDocument> {
    const { organizationId } = caller;
    const present = await this.#deps.organizations.findServing(organizationId);
    const name = newNameOf(present, request);
    if (request.metadata !== undefined) assertMetadata(request.metadata);
    if (typeof request.external_id === 'string')
      assertVisibleText('/external_id', request.external_id);
    const names = [present.organization_name, ...(name === undefined ? [] : [name.display])];
    const credentials = await this.#credentialChange(caller, request, names, client);
    const changesOrganization =
      name !== undefined || request.metadata !== undefined || request.external_id !== undefined;
    const updated = changesOrganization
      ? await retryWhileBusy(
          async () => {
            const seen = await this.#deps.organizations.findServing(organizationId);
            if (seen.state !== 'active') return null;
            return this.#deps.update.run(seen, targetOf(seen, name, request), credentials);
          },
          () => new OrganizationBusyError(),
        )
      : await this.#changeCredentials(organizationId, credentials);
    if (credentials !== undefined) this.#notify(credentials);
    return updated;
  }

  #notify({ previous, email: newEmail, password }: CredentialChange): void {
    const newPassword = password !== undefined;
    this.#deps.notices.changed({ email: previous.email, newEmail, newPassword });
  }

  async #credentialChange(
    caller: Caller,
    request: OrganizationChangeRequest,
    organizationNames: readonly string[],
    client: SessionClient,
  ): Promise<CredentialChange | undefined> {
    const { email, password } = request;
    if (email === undefined && password === undefined) {
      assertNoProof(request);
      return undefined;
    }
    if (caller.kind !== 'member') throw new PersonRequiredError();
    const { admins, passwords } = this.#deps;
    const admin = await admins.findById(caller.adminId);
    // A change that ended the caller's session came between the look at the token and this one.
    if (admin === null || !sameChange(admin.session_era ?? null, caller.sessionEra))
      throw new InvalidTokenError();
    if (password !== undefined) {
      const emails = [admin.email, ...(email === undefined ? [] : [normalizeEmail(email)])];
      assertAcceptablePassword(password, { emails, organizationNames });
    }
    if (email !== undefined) await this.#assertEmailFree(admin, normalizeEmail(email));
    await this.#prove(admin, request, client);
    return {
      admin_id: admin._id,
      session_id: caller.sessionId,
      previous: {
        ...{ email: admin.email, password: admin.password },
        change: lastChangeOf(admin),
        era: admin.session_era ?? null,
      },
      ...(email === undefined ? {} : { email: normalizeEmail(email) }),
      ...(password === undefined ? {} : { password: await passwords.hash(password) }),
    };
  }

  /**
   * The interface of the original takes new credentials for a token alone. Who has a second factor has asked for more: a
   * token in the wrong hands must not get around it.
   */
  async #prove(
    admin: AdminDocument,
    { current_password, code }: OrganizationChangeRequest,
    client: SessionClient,
  ): Promise<void> {
    if (current_password === undefined) {
      if (admin.totp === undefined && code === undefined) return;
      throw new InvalidFieldError(
        '/current_password',
        'is required to change what an account with a second factor signs in with',
      );
    }
    const proof = { current_password, ...(code !== undefined && { code }) };
    await this.#deps.reauthentication.prove(admin._id, proof, client);
  }

  async #changeCredentials(organizationId: ObjectId, change: CredentialChange | undefined) {
    const { admins, sessions, clock, ids, organizations } = this.#deps;
    if (change !== undefined) {
      const { admin_id, email, password, previous } = change;
      const changeId = ids.objectId();
      const fields = {
        ...(email && { email }),
        ...(password && { password, session_era: changeId }),
      };
      if (password !== undefined) await sessions.admitTo(changeId, change.session_id);
      if (!(await admins.changeOnTopOf(admin_id, previous.change, fields, changeId, clock.now())))
        throw (await admins.findById(admin_id)) === null
          ? new InvalidTokenError()
          : new CredentialsChangedError();
      if (password !== undefined) await sessions.endBefore(admin_id, changeId);
    }
    return organizations.findServing(organizationId);
  }

  /** Spares most conflicts the undo of what comes before; the unique index decides the rest. */
  async #assertEmailFree(admin: AdminDocument, email: string): Promise<void> {
    const holder = await this.#deps.admins.findByEmail(email);
    if (holder !== null && !holder._id.equals(admin._id)) throw new EmailTakenError();
  }
}

/** @throws InvalidFieldError for a proof of nothing */
function assertNoProof({ current_password, code }: OrganizationChangeRequest): void {
  if (current_password !== undefined || code !== undefined)
    throw new InvalidFieldError(
      current_password === undefined ? '/code' : '/current_password',
      'is only needed with a new e-mail address or password',
    );
}

/** The two forms of a rename have one meaning: the last name given is the new one. */
function newNameOf(
  organization: OrganizationDocument,
  request: OrganizationChangeRequest,
): OrganizationName | undefined {
  const { organization_name: first, new_organization_name: second } = request;
  if (second !== undefined) {
    if (first !== undefined) assertIsName(organization, first);
    return parseOrganizationName(second, '/new_organization_name');
  }
  return first === undefined ? undefined : parseOrganizationName(first);
}

function targetOf(
  seen: OrganizationDocument,
  name: OrganizationName | undefined,
  request: OrganizationChangeRequest,
): OrganizationTarget {
  const { organization_name, name_key, slug, skeleton, collection_name } =
    name === undefined ? seen : identityOf(name, seen.database);
  return {
    organization_name,
    name_key,
    slug,
    skeleton,
    // The same slug keeps its collection, under whatever name it has.
    collection_name: slug === seen.slug ? seen.collection_name : collection_name,
    metadata: request.metadata ?? seen.metadata,
    external_id:
      request.external_id === undefined ? (seen.external_id ?? null) : request.external_id,
  };
}
