import type { ObjectId } from 'mongodb';
import type { Caller } from '../access/caller.ts';
import { type AdminDocument, newAccount, normalizeEmail } from '../admins/admin-document.ts';
import { EmailTakenError, InvalidCredentialsError } from '../admins/admin-errors.ts';
import type { AdminStore } from '../admins/admin-store.ts';
import type { CredentialCheck, Proof } from '../admins/credential-check.ts';
import type { PasswordHasher } from '../admins/password-hasher.ts';
import { assertAcceptablePassword } from '../admins/password-policy.ts';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import type { MembershipStore } from '../members/membership-store.ts';
import { type OrganizationDocument, SERVING_STATES } from '../registry/organization-document.ts';
import { OrganizationBusyError, OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { retryWhileBusy } from '../retry-while-busy.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import { OrganizationSuspendedError } from '../sessions/session-errors.ts';
import type { CollectionBudget } from '../tenants/capacity.ts';
import {
  type NewOrganization,
  type OrganizationCreation,
  OwnerGoneError,
} from '../tenants/lifecycle/organization-creation.ts';
import type {
  DeletedOrganization,
  OrganizationGrace,
} from '../tenants/lifecycle/organization-grace.ts';
import { type OrganizationName, parseOrganizationName } from '../tenants/organization-name.ts';
import { OtherOrganizationError } from './organization-errors.ts';

/** What a person fills in to sign up. */
export interface SignUp {
  organization_name: string;
  email: string;
  password: string;
  /** Of the second factor of an account that exists. */
  code?: string;
}

/** An organization and the account that owns it. */
export interface OwnedOrganization {
  organization: OrganizationDocument;
  owner: Pick<AdminDocument, '_id' | 'email'>;
}

/** An organization as its members see it. */
export interface MemberView extends OwnedOrganization {
  members: number;
}

interface OrganizationServiceDeps {
  registry: RegistryStore;
  admins: AdminStore;
  memberships: MembershipStore;
  passwords: PasswordHasher;
  credentials: CredentialCheck;
  creation: OrganizationCreation;
  grace: OrganizationGrace;
  budget: CollectionBudget;
  clock: Clock;
  ids: IdSource;
  tenantDatabase: string;
}

/** The rules of creating, finding and deleting organizations. */
export class OrganizationService {
  readonly #deps: OrganizationServiceDeps;

  constructor(deps: OrganizationServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Creates an organization with its collection and its owner. If the e-mail address has an account and the password is
   * right, that person becomes the owner of one more organization.
   *
   * @param client - where the request comes from
   * @param id - the new organization's id, if the caller has to know it beforehand
   * @throws InvalidFieldError, PasswordTooCommonError (of a new account's password), OrganizationNameTakenError,
   *   CollectionNameTakenError, ConfusableNameError, EmailTakenError, MfaRequiredError, InvalidCodeError,
   *   CapacityReachedError, PasswordQueueFullError, TooManyAttemptsError; nothing is left behind after any of them
   */
  async create(
    signUp: SignUp,
    client: SessionClient,
    id = this.#deps.ids.objectId(),
  ): Promise<OwnedOrganization> {
    const { registry, budget, creation, tenantDatabase: database } = this.#deps;
    const name = parseOrganizationName(signUp.organization_name);
    const email = normalizeEmail(signUp.email);
    // Before the costly hash; the unique indexes decide, whatever happens in between.
    await registry.assertNameFree(name);
    using _place = await budget.take();
    for (;;) {
      const owner = await this.#ownerOf({ ...signUp, email }, name, client);
      try {
        const organization = await creation.run({ id, name, database, owner });
        const ownerId = owner.kind === 'new' ? owner.admin._id : owner.adminId;
        return { organization, owner: { _id: ownerId, email } };
      } catch (error) {
        // The account was deleted after its password was checked: now it is a new one.
        if (!(error instanceof OwnerGoneError)) throw error;
      }
    }
  }

  /** @returns the organization earlier attempts created under one of these ids, or undefined if they came to nothing */
  async findCreated(ids: readonly ObjectId[]): Promise<OwnedOrganization | undefined> {
    if (ids.length === 0) return undefined;
    const [organization] = await this.#deps.registry.findVisible(ids);
    return organization && this.memberView(organization);
  }

  /** @returns the organization called so; @throws InvalidFieldError, OrganizationNotFoundError */
  async getByName(organizationName: string): Promise<OrganizationDocument> {
    const found = await this.#deps.registry.findByName(parseOrganizationName(organizationName));
    if (found === null) throw new OrganizationNotFoundError();
    return found;
  }

  /** What members see of their organization beyond what everybody sees. */
  async memberView(organization: OrganizationDocument): Promise<MemberView> {
    const { admins, memberships } = this.#deps;
    const [members, ownership] = await Promise.all([
      memberships.countOf(organization._id),
      memberships.firstOwner(organization._id),
    ]);
    const owner = ownership && (await admins.findById(ownership.admin_id));
    // Both are missing only while the organization is being deleted.
    if (owner === null) throw new OrganizationNotFoundError();
    return { organization, owner, members };
  }

  /**
   * Deletes the caller's organization: its collection, its members' sessions and memberships, and the accounts of those
   * who belong nowhere else; at once, or at the end of a grace period in which nothing of it answers.
   *
   * @param safeguards - names the caller gave, each of which has to be the organization's
   * @throws OtherOrganizationError, OrganizationBusyError, OrganizationNotFoundError
   */
  async delete(
    caller: Caller,
    safeguards: readonly (string | undefined)[] = [],
  ): Promise<DeletedOrganization> {
    return retryWhileBusy(
      async () => {
        const organization = await this.findServing(caller.organizationId);
        for (const name of safeguards) if (name !== undefined) assertIsName(organization, name);
        return this.#deps.grace.delete(organization);
      },
      () => new OrganizationBusyError(),
    );
  }

  /** @throws OrganizationNotFoundError, OrganizationSuspendedError */
  async findServing(id: ObjectId): Promise<OrganizationDocument> {
    const organization = await this.#deps.registry.findById(id);
    // Since the caller's token was looked at.
    if (organization?.state === 'suspended') throw new OrganizationSuspendedError();
    if (organization === null || !SERVING_STATES.includes(organization.state))
      throw new OrganizationNotFoundError();
    return organization;
  }

  async #ownerOf(
    proof: Proof,
    name: OrganizationName,
    client: SessionClient,
  ): Promise<NewOrganization['owner']> {
    const { email, password } = proof;
    const { admins, passwords, clock, ids } = this.#deps;
    if ((await admins.findByEmail(email)) !== null) {
      const adminId = await this.#existingOwner(proof, client);
      if (adminId !== null) return { kind: 'existing', adminId };
    }
    assertAcceptablePassword(password, { emails: [email], organizationNames: [name.display] });
    const account = { _id: ids.objectId(), email, now: clock.now() };
    const admin = newAccount({ ...account, password: await passwords.hash(password) });
    return { kind: 'new', admin };
  }

  /** @returns null when the account has been removed meanwhile */
  async #existingOwner(proof: Proof, client: SessionClient): Promise<ObjectId | null> {
    try {
      return (await this.#deps.credentials.verify(proof, client))._id;
    } catch (error) {
      if (!(error instanceof InvalidCredentialsError)) throw error;
      if ((await this.#deps.admins.findByEmail(proof.email)) === null) return null;
      throw new EmailTakenError(error);
    }
  }
}

/** @throws OtherOrganizationError when the name is not this organization's */
export function assertIsName(organization: OrganizationDocument, given: string): OrganizationName {
  const name = parseOrganizationName(given);
  if (name.slug !== organization.slug) throw new OtherOrganizationError();
  return name;
}
