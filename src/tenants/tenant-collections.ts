import {
  type Db,
  type Document,
  type MongoClient,
  MongoServerError,
  type ObjectId,
  type UUID,
} from 'mongodb';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { DURABLE } from '../database/mongo-client.ts';
import type { CollectionReference } from '../registry/organization-document.ts';
import { IndexBuildInProgressError } from '../registry/registry-errors.ts';
import { FenceMissError, runFenced } from './fence.ts';

const NAMESPACE_EXISTS = 48;
/** Neither a rename nor a change of the validator can take place while an index is being built. */
export const INDEX_BUILD_IN_PROGRESS = 12587;

/** The name is in use by a collection that is not this organization's. */
export class NamespaceExistsError extends Error {
  constructor(name: string) {
    super(`the collection ${name} exists and belongs to something else`);
    this.name = 'NamespaceExistsError';
  }
}

/** A collection found in a tenant database, and whose it says it is. */
export interface FoundCollection {
  name: string;
  uuid: UUID;
  /** Hex id of the organization it was created for; undefined when this installation did not make it. */
  organizationId: string | undefined;
}

/**
 * Makes, moves and drops tenant collections. Every step can be repeated: done once or five times, by one instance or by
 * several, the result is the same.
 *
 * A new collection carries its organization's id in a `$comment` of its validator, from the moment it exists. So a crash
 * right after leaves no doubt whose it is, and recovery never drops a collection somebody else put there.
 */
export class TenantCollections {
  readonly #client: MongoClient;
  readonly #tagPrefix: string;

  /** @param masterDatabase - part of the tag: two installations may share a tenant database, and neither owns the other's */
  constructor(client: MongoClient, masterDatabase: string) {
    this.#client = client;
    // A database's name cannot hold a slash.
    this.#tagPrefix = `tenantry/${masterDatabase}/`;
  }

  /**
   * Creates the organization's collection, or finds the one an earlier attempt made.
   *
   * @returns its UUID
   * @throws NamespaceExistsError when another collection has the name; it is left alone
   */
  async create(database: string, name: string, organizationId: ObjectId): Promise<UUID> {
    const db = this.#client.db(database);
    const validator = this.validatorOf(organizationId, null);
    await retryTransient(() =>
      ignoring(NAMESPACE_EXISTS, command(db, { create: name, validator })),
    );
    const found = await this.find(database, name);
    if (found?.organizationId !== organizationId.toHexString())
      throw new NamespaceExistsError(name);
    return found.uuid;
  }

  /**
   * The validator of an organization's collection: the tag that says whose it is, and beside it the schema of its records.
   * Whoever changes the one writes both.
   */
  validatorOf(organizationId: ObjectId, schema: Document | null): Document {
    const $comment = this.#tagPrefix + organizationId.toHexString();
    return { $comment, ...(schema && { $jsonSchema: schema }) };
  }

  /** @returns the validator the collection has, `{}` for none; undefined when it is not at this name any more */
  async findValidator({
    database,
    name,
    uuid,
  }: CollectionReference): Promise<Document | undefined> {
    const [info] = await retryTransient(() => this.#infos(database, { name }));
    const found = info?.info?.uuid as UUID | undefined;
    const isMeant = info !== undefined && found !== undefined && uuid.equals(found);
    return isMeant ? (info.options?.validator ?? {}) : undefined;
  }

  /**
   * Gives the collection its new name. Online: metadata only, so it takes the same time for any number of documents.
   *
   * @returns once the collection has the name, also when an earlier attempt gave it
   * @throws NamespaceExistsError when another collection has the name
   * @throws IndexBuildInProgressError while an index of the collection is being built; nothing has changed
   * @throws FenceMissError when the collection is not at `from.name`; it is not followed, because a late repetition of an
   *   old rename must not move a collection that has since been moved elsewhere
   */
  async rename(from: CollectionReference, to: string): Promise<void> {
    const admin = this.#client.db('admin');
    const command = {
      renameCollection: `${from.database}.${from.name}`,
      to: `${from.database}.${to}`,
    };
    try {
      await retryTransient(() => runFenced(admin, from.uuid, command, { write: true }));
    } catch (error) {
      if (error instanceof FenceMissError && error.actual === to) return;
      if (hasCode(error, NAMESPACE_EXISTS)) throw new NamespaceExistsError(to);
      if (hasCode(error, INDEX_BUILD_IN_PROGRESS)) throw new IndexBuildInProgressError(error);
      throw error;
    }
  }

  /** Drops the collection, under whatever name it has; done when it no longer exists. */
  async drop(reference: CollectionReference): Promise<void> {
    let name: string | null = reference.name;
    while (name !== null) name = await this.#dropAt({ ...reference, name });
  }

  /** Drops the collection if it holds no document. @returns what became of it; `gone` if it did not exist any more */
  async dropIfEmpty(reference: CollectionReference): Promise<'dropped' | 'kept' | 'gone'> {
    const { name, documents } = await this.#probe(reference);
    if (name === null) return 'gone';
    if (documents > 0) return 'kept';
    await this.drop({ ...reference, name });
    return 'dropped';
  }

  /** @returns the name the collection has now, or null when it does not exist */
  async locate(reference: CollectionReference): Promise<string | null> {
    return (await this.#probe(reference)).name;
  }

  /** @returns the collection of that name, or undefined */
  async find(database: string, name: string): Promise<FoundCollection | undefined> {
    const [found] = await retryTransient(() => this.#list(database, { name }));
    return found;
  }

  /** @returns every collection of a database whose name begins like a tenant's */
  list(database: string): Promise<FoundCollection[]> {
    return retryTransient(() => this.#list(database, { name: /^org_/ }));
  }

  async #list(database: string, filter: { name: string | RegExp }): Promise<FoundCollection[]> {
    const infos = await this.#infos(database, filter);
    return infos.flatMap(({ name, info, options }) => {
      const tag: unknown = options?.validator?.$comment;
      const tagged = typeof tag === 'string' && tag.startsWith(this.#tagPrefix);
      const organizationId = tagged ? tag.slice(this.#tagPrefix.length) : undefined;
      return info?.uuid === undefined ? [] : [{ name, uuid: info.uuid as UUID, organizationId }];
    });
  }

  #infos(database: string, filter: { name: string | RegExp }) {
    return this.#client
      .db(database)
      .listCollections({ ...filter, type: 'collection' }, { nameOnly: false, ...withinDeadline() })
      .toArray();
  }

  /** Follows the collection to where it is, and reads at most one id: enough to know whether it is empty. */
  async #probe(
    reference: CollectionReference,
  ): Promise<{ name: string | null; documents: number }> {
    const db = this.#client.db(reference.database);
    const find = { limit: 1, projection: { _id: 1 } };
    for (let name: string | null = reference.name; name !== null; ) {
      const command = { find: name, ...find };
      try {
        const run = () => runFenced(db, reference.uuid, command, { write: false });
        const reply = await retryTransient(run);
        return { name, documents: reply.cursor.firstBatch.length };
      } catch (error) {
        if (!(error instanceof FenceMissError)) throw error;
        name = error.actual;
      }
    }
    return { name: null, documents: 0 };
  }

  async #dropAt({ database, name, uuid }: CollectionReference): Promise<string | null> {
    const db = this.#client.db(database);
    try {
      await retryTransient(() => runFenced(db, uuid, { drop: name }, { write: true }));
      return null;
    } catch (error) {
      if (error instanceof FenceMissError) return error.actual;
      throw error;
    }
  }
}

function command(db: Db, body: { create: string; validator: object }) {
  return db.command({ ...body, writeConcern: DURABLE }, withinDeadline());
}

async function ignoring(code: number, attempt: Promise<unknown>): Promise<void> {
  try {
    await attempt;
  } catch (error) {
    if (!hasCode(error, code)) throw error;
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof MongoServerError && error.code === code;
}
