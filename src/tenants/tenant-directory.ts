import type { BSONSerializeOptions, MongoClient, ObjectId } from 'mongodb';
import QuickLRU from 'quick-lru';
import {
  collectionReference,
  type OrganizationDocument,
} from '../registry/organization-document.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { type CommandRunner, TenantCollection } from './tenant-collection.ts';

interface TenantDirectoryDeps {
  client: MongoClient;
  registry: RegistryStore;
  /** How the documents of the collections come out. */
  bson?: BSONSerializeOptions;
  /** Only drills and tests have another one than the fence. */
  run?: CommandRunner;
}

/** So many organizations' collections are remembered; each takes some hundred bytes. */
const MAX_REMEMBERED = 10_000;

/**
 * Opens organizations' collections, without a look at the registry for those it has opened before. A collection it
 * remembers is never wrong: it is known by its UUID, follows a rename by itself, and a deleted one is not found. Whether the
 * caller may open it, and whether the organization serves at all, is decided before, by access.
 */
export class TenantDirectory {
  readonly #deps: TenantDirectoryDeps;
  readonly #known = new QuickLRU<string, TenantCollection>({ maxSize: MAX_REMEMBERED });

  constructor(deps: TenantDirectoryDeps) {
    this.#deps = deps;
  }

  /** @throws OrganizationNotFoundError, DatabaseUnavailableError */
  async open(organizationId: ObjectId): Promise<TenantCollection> {
    const key = organizationId.toHexString();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const organization = await this.#deps.registry.findById(organizationId);
    if (organization === null) throw new OrganizationNotFoundError();
    return this.openKnown(organization);
  }

  /** As {@link open}, for an organization that has just been read. @throws OrganizationNotFoundError */
  openKnown(organization: OrganizationDocument): TenantCollection {
    const key = organization._id.toHexString();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { client, bson, run } = this.#deps;
    const reference = collectionReference(organization);
    if (reference === undefined) throw new OrganizationNotFoundError();
    const collection = new TenantCollection(client, reference, {
      ...(bson && { bson }),
      ...(run && { run }),
    });
    this.#known.set(key, collection);
    return collection;
  }
}
