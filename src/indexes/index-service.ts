import { setTimeout as delay } from 'node:timers/promises';
import type { ObjectId } from 'mongodb';
import type { Logger } from '../logging/logger.ts';
import {
  ID_INDEX,
  type IndexDefinition,
  type IndexRequest,
  indexDefinition,
} from './index-definition.ts';
import {
  IndexBuildEndedError,
  IndexLimitReachedError,
  IndexNotFoundError,
  InvalidIndexError,
} from './index-errors.ts';
import type { IndexStore, StoredIndex } from './index-store.ts';

/** So many may an organization have, unless a setting says otherwise. MongoDB's own limit is 64. */
export const MAX_INDEXES = 16;
/** How long a request waits for an index to be built before it is told that it will be. */
export const BUILD_WAIT_MS = 10_000;

/** What came of asking for an index. Of one that is being built, `index` is null until the database shows it. */
export type CreatedIndex =
  | { outcome: 'created' | 'existing'; index: StoredIndex; definition: IndexDefinition }
  | { outcome: 'building'; index: StoredIndex | null; definition: IndexDefinition };

interface IndexServiceDeps {
  store: Pick<IndexStore, 'list' | 'build' | 'drop'>;
  /** For each organization, the one on `_id` included. */
  limit: number;
  buildWaitMs: number;
  logger: Logger;
}

/** The rules of indexes. */
export class IndexService {
  readonly #deps: IndexServiceDeps;

  constructor(deps: IndexServiceDeps) {
    this.#deps = deps;
  }

  /** @returns all, the oldest first, those being built included; @throws OrganizationNotFoundError, OrganizationBusyError */
  list(organizationId: ObjectId): Promise<StoredIndex[]> {
    return this.#deps.store.list(organizationId);
  }

  /**
   * Makes an index. One that takes long is built after the call has returned, and also when this process ends; it is not
   * there any more when that fails, as for a unique index over values that are not.
   *
   * The limit holds for any number who do this at once, on any number of instances: whoever came too late takes the own
   * index away again. Only a restart of the database in between makes it forget who came first.
   *
   * @throws InvalidIndexError, UnsupportedOperatorError, InvalidExtendedJsonError, IndexExistsError,
   *   IndexLimitReachedError, DuplicateValuesError, IndexBuildEndedError, OrganizationNotFoundError; nothing has changed
   *   after any of them
   * @throws DatabaseUnavailableError when it may be built; asking again does no harm
   */
  async create(organizationId: ObjectId, request: IndexRequest): Promise<CreatedIndex> {
    const { store, limit } = this.#deps;
    const definition = indexDefinition(request);
    const before = await store.list(organizationId);
    // Refused before it is built. Of a name that there is, the database knows whether it is the same index.
    const isNew = !before.some(({ name }) => name === definition.name);
    if (isNew && before.length >= limit) throw new IndexLimitReachedError(limit);
    const outcome = await this.#build(organizationId, definition, isNew);
    const index = await this.#withinLimit(organizationId, definition.name, isNew);
    if (outcome === 'building') return { outcome, index, definition };
    if (index === null) throw new IndexBuildEndedError();
    return { outcome, index, definition };
  }

  /** @throws IndexNotFoundError, InvalidIndexError for the index on `_id` */
  async delete(organizationId: ObjectId, name: string): Promise<void> {
    if (name === ID_INDEX)
      throw new InvalidIndexError([{ path: '/name', message: 'is the index on _id, which stays' }]);
    await this.#deps.store.drop(organizationId, name);
  }

  /** @returns how far it has come when the waiting ends; what ends later is looked at as well, and logged if it failed */
  async #build(
    organizationId: ObjectId,
    definition: IndexDefinition,
    isNew: boolean,
  ): Promise<CreatedIndex['outcome']> {
    const { store, buildWaitMs, logger } = this.#deps;
    const waiting = new AbortController();
    let isWaitedFor = true;
    const build = async () => {
      try {
        const outcome = await store.build(organizationId, definition);
        if (!isWaitedFor) await this.#withinLimit(organizationId, definition.name, isNew);
        return outcome;
      } catch (error) {
        if (isWaitedFor) throw error;
        const context = { organization_id: organizationId.toHexString(), index: definition.name };
        logger.warn({ ...context, err: error }, 'an index could not be built');
        return 'building';
      }
    };
    const built = build();
    const patience = delay(buildWaitMs, 'building' as const, { signal: waiting.signal });
    try {
      return await Promise.race([built, patience.catch(() => built)]);
    } finally {
      isWaitedFor = false;
      waiting.abort();
    }
  }

  /** @returns the index, or null; @throws IndexLimitReachedError when it came too late, and is gone again */
  async #withinLimit(
    organizationId: ObjectId,
    name: string,
    isNew: boolean,
  ): Promise<StoredIndex | null> {
    const { store, limit } = this.#deps;
    const all = await store.list(organizationId);
    const at = all.findIndex((one) => one.name === name);
    if (!isNew || at < limit) return all[at] ?? null;
    await store.drop(organizationId, name).catch((error: unknown) => {
      // Somebody who asked for the same index has taken it away.
      if (!(error instanceof IndexNotFoundError)) throw error;
    });
    throw new IndexLimitReachedError(limit);
  }
}
