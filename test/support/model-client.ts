import { type Db, ObjectId } from 'mongodb';
import type { MemberCaller } from '../../src/access/caller.ts';
import type { AdminDocument } from '../../src/admins/admin-document.ts';
import { AppError } from '../../src/errors.ts';
import type { MembershipDocument } from '../../src/members/membership-store.ts';
import {
  type CollectionReference,
  collectionReference,
  type OrganizationDocument,
} from '../../src/registry/organization-document.ts';
import { PERMISSIONS } from '../../src/roles/permissions.ts';
import { TenantCollection } from '../../src/tenants/tenant-collection.ts';
import type { BareInstance } from './cluster.ts';
import { type Answer, FIRST_PASSWORD, type Request } from './lifecycle-model.ts';
import { SOME_CLIENT } from './test-service.ts';

interface Account {
  adminId: ObjectId;
  organizationId: ObjectId;
  /** Where the collection was when the organization was made: as stale as can be. */
  collection: CollectionReference;
}

/** Sends the requests of a model to instances of the service, with what it knows of organizations from their beginning. */
export class ModelClient {
  readonly #db: Db;
  readonly #accounts = new Map<string, Account>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** @returns how the request was answered; @throws what is no answer, but a bug */
  async send(instance: BareInstance, request: Request): Promise<Answer> {
    try {
      await this.#carryOut(instance, request);
      return 'ok';
    } catch (error) {
      if (error instanceof AppError) return error.code;
      throw error;
    }
  }

  /** @returns the code of the error, or `ok` */
  async signIn({ services }: BareInstance, email: string, password: string): Promise<Answer> {
    try {
      const client = { address: '127.0.0.1', user_agent: null };
      await services.logins.login({ email, password }, client);
      return 'ok';
    } catch (error) {
      if (error instanceof AppError) return error.code;
      throw error;
    }
  }

  async #carryOut(instance: BareInstance, request: Request): Promise<void> {
    const { client, services } = instance;
    if (request.kind === 'create') {
      const { name: organization_name, owner: email } = request;
      const signUp = { organization_name, email, password: FIRST_PASSWORD };
      await services.organizations.create(signUp, SOME_CLIENT);
      await this.#accountOf(email);
      return;
    }
    const { collection, organizationId, adminId } = await this.#accountOf(request.owner);
    if (request.kind === 'insert') {
      const stale = new TenantCollection(client, collection);
      return stale.insertMany([{ text: request.document }]);
    }
    // As the HTTP layer does before it lets anybody do anything.
    await services.organizations.findServing(organizationId);
    const caller: MemberCaller = {
      ...{ kind: 'member', adminId, organizationId, role: 'owner' },
      ...{
        sessionId: new ObjectId(),
        sessionEra: await this.#eraOf(adminId),
        permissions: new Set(PERMISSIONS),
      },
    };
    if (request.kind === 'delete') await services.organizations.delete(caller);
    else {
      const { name: organization_name, password } = request;
      const change = { organization_name, ...(password !== undefined && { password }) };
      await services.organizationUpdates.update(caller, change, SOME_CLIENT);
    }
  }

  /** As if they had just signed in. */
  async #eraOf(_id: ObjectId): Promise<ObjectId | null> {
    const admin = await this.#db.collection<AdminDocument>('admins').findOne({ _id });
    return admin?.session_era ?? null;
  }

  /** Looked up once, past the service. */
  async #accountOf(email: string): Promise<Account> {
    const known = this.#accounts.get(email);
    if (known !== undefined) return known;
    const one = <T extends object>(name: string, filter: object) =>
      this.#db.collection(name).findOne<T>(filter);
    const admin = await one<AdminDocument>('admins', { email });
    const membership = await one<MembershipDocument>('memberships', { admin_id: admin?._id });
    const organization = await one<OrganizationDocument>('organizations', {
      _id: membership?.organization_id,
    });
    const collection = organization === null ? undefined : collectionReference(organization);
    if (admin === null || organization === null || collection === undefined)
      throw new AppError('not_found', 'organization_not_found', email);
    const account = { adminId: admin._id, organizationId: organization._id, collection };
    this.#accounts.set(email, account);
    return account;
  }
}
