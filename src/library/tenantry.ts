import { ObjectId } from 'mongodb';
import { AppError } from '../errors.ts';
import { type OrganizationDocument, SERVING_STATES } from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { OrganizationSuspendedError } from '../sessions/session-errors.ts';
import { parseOrganizationName } from '../tenants/organization-name.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { LibraryOptionsError } from './library-errors.ts';
import type { Principal, PrincipalCheck, VerifyTokenOptions } from './principal-check.ts';
import { TenantOrganization } from './tenant-organization.ts';

interface TenantryDeps {
  registry: RegistryStore;
  directory: TenantDirectory;
  /** Missing: no token can be verified. */
  principals?: PrincipalCheck;
  /** Closes what was opened for the library. */
  close: () => Promise<void>;
}

/** It has been closed. */
export class TenantryClosedError extends AppError {
  constructor() {
    super('unavailable', 'closed', 'This Tenantry has been closed.');
  }
}

/**
 * The organizations of one Tenantry database, for product back ends: their records and their members' tokens, without the
 * HTTP service. One for each process is enough; it holds no connection but its client's, and starts nothing by itself.
 */
export class Tenantry implements AsyncDisposable {
  readonly #deps: TenantryDeps;
  #closing: Promise<void> | undefined;

  constructor(deps: TenantryDeps) {
    this.#deps = deps;
  }

  /**
   * @param name - in any spelling: "acme" finds "ACME"
   * @throws OrganizationNotFoundError, OrganizationSuspendedError, DatabaseUnavailableError; InvalidFieldError when no
   *   organization could have the name
   */
  async organization(name: string): Promise<TenantOrganization> {
    this.#assertOpen();
    return this.#open(await this.#deps.registry.findByName(parseOrganizationName(name)));
  }

  /** @throws OrganizationNotFoundError, OrganizationSuspendedError, DatabaseUnavailableError */
  async organizationById(id: ObjectId | string): Promise<TenantOrganization> {
    this.#assertOpen();
    const hex = String(id);
    if (!/^[0-9a-f]{24}$/i.test(hex)) throw new OrganizationNotFoundError();
    return this.#open(await this.#deps.registry.findById(ObjectId.createFromHexString(hex)));
  }

  /**
   * @param externalId - the product's own id for it
   * @throws OrganizationNotFoundError, OrganizationSuspendedError, DatabaseUnavailableError
   */
  async organizationByExternalId(externalId: string): Promise<TenantOrganization> {
    this.#assertOpen();
    // Anything but a text would be an operator, or match no index.
    if (typeof externalId !== 'string') throw new OrganizationNotFoundError();
    return this.#open(await this.#deps.registry.findByExternalId(externalId));
  }

  /**
   * Finds out whom an access token or an API key speaks for. Session, membership, role and organization decide, as they are
   * now or were less than a second ago: the token alone is believed only with `offline`.
   *
   * @throws InvalidTokenError, TokenExpiredError, OrganizationSuspendedError, WrongOrganizationError, PermissionDeniedError,
   *   DatabaseUnavailableError, KeySetUnavailableError; LibraryOptionsError for an option that there is not, since what it was
   *   meant to demand would not be looked at
   */
  async verifyToken(token: string, options: VerifyTokenOptions = {}): Promise<Principal> {
    this.#assertOpen();
    const { principals } = this.#deps;
    if (principals === undefined)
      throw new LibraryOptionsError(
        'verifyToken needs jwtSecret or jwks to be given to openTenantry',
      );
    assertKnownOptions(options);
    return principals.verify(token, options);
  }

  /** Closes the connections, if the client was not the caller's own. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#deps.principals?.[Symbol.asyncDispose]();
    await this.#deps.close();
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new TenantryClosedError();
  }

  #open(organization: OrganizationDocument | null): TenantOrganization {
    if (organization?.state === 'suspended') throw new OrganizationSuspendedError();
    if (organization === null || !SERVING_STATES.includes(organization.state))
      throw new OrganizationNotFoundError();
    return new TenantOrganization(organization, this.#deps.directory.openKnown(organization));
  }
}

const VERIFY_OPTIONS: readonly string[] = [
  'organizationId',
  'permission',
  'offline',
] satisfies (keyof VerifyTokenOptions)[];

function assertKnownOptions(options: VerifyTokenOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new LibraryOptionsError(`verifyToken takes an object with ${VERIFY_OPTIONS.join(', ')}`);
  const unknown = Object.keys(options).find((name) => !VERIFY_OPTIONS.includes(name));
  if (unknown !== undefined)
    throw new LibraryOptionsError(
      `verifyToken has no option ${unknown}; there are ${VERIFY_OPTIONS.join(', ')}`,
    );
}
