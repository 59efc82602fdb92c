import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient, ObjectId } from 'mongodb';
import type { Caller } from '../access/caller.ts';
import { isReplicaSet } from '../database/topology.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../logging/logger.ts';
import type { ExtendedJsonMode } from '../records/extended-json.ts';
import { exactOf } from '../records/record-bytes.ts';
import { isGone } from '../registry/organization-document.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import { ChangeHistoryLostError, TenantChanges } from '../tenants/tenant-changes.ts';
import type { TenantDirectory } from '../tenants/tenant-directory.ts';
import { ChangeFeed, type FeedEnd } from './change-feed.ts';
import {
  ChangeFeedUnavailableError,
  HistoryLostError,
  InvalidPositionError,
  TooManyFeedsError,
} from './change-feed-errors.ts';
import type { FeedPositions } from './feed-positions.ts';
import type { FeedLimits, FeedTimes } from './feed-times.ts';

/** How long readers have to take their last event when the service stops. */
const FAREWELL_MS = 1_000;

interface ChangeFeedsDeps {
  /** Of its own: a feed holds a connection for as long as it lasts. */
  client: MongoClient;
  directory: TenantDirectory;
  registry: RegistryStore;
  positions: FeedPositions;
  limits: FeedLimits;
  times: FeedTimes;
  logger: Logger;
}

/** Who wants a feed, and of what. */
export interface FeedRequest {
  organizationId: ObjectId;
  /** Establishes anew who is asking, from what may be known already. @throws AppError when they may not read */
  admit: () => Promise<Caller>;
  mode: ExtendedJsonMode;
  /** Where to go on, as the reader got it, and in what it was sent. */
  after?: { position: string; field: 'last-event-id' | 'after' };
}

/** The change feeds of this instance. */
export class ChangeFeeds implements AsyncDisposable {
  readonly #deps: ChangeFeedsDeps;
  readonly #feeds = new Map<ChangeFeed, Promise<void>>();
  readonly #open = new Map<string, number>();
  #total = 0;
  #isStopping = false;

  constructor(deps: ChangeFeedsDeps) {
    this.#deps = deps;
  }

  /**
   * Opens a feed; it is the caller's to read, and ends with its reader.
   *
   * @throws InvalidPositionError, HistoryLostError, ChangeFeedUnavailableError, TooManyFeedsError, OrganizationNotFoundError,
   *   DatabaseUnavailableError
   */
  async open(request: FeedRequest): Promise<ChangeFeed> {
    const after = this.#tokenOf(request);
    if (!(await isReplicaSet(this.#deps.client))) throw new ChangeFeedUnavailableError();
    const release = this.#take(request.organizationId.toHexString());
    try {
      const feed = await this.#make(request, after);
      this.#feeds.set(
        feed,
        feed.run().finally(() => {
          this.#feeds.delete(feed);
          release();
        }),
      );
      if (this.#isStopping) feed.end('shutting_down');
      return feed;
    } catch (error) {
      release();
      throw error instanceof ChangeHistoryLostError ? new HistoryLostError(error) : error;
    }
  }

  /** Ends all feeds, and cuts off readers that do not take that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    for (const feed of this.#feeds.keys()) feed.end('shutting_down');
    const over = Promise.all(this.#feeds.values());
    const stop = new AbortController();
    await Promise.race([
      over,
      delay(FAREWELL_MS, undefined, { signal: stop.signal }).catch(() => {}),
    ]);
    stop.abort();
    for (const feed of this.#feeds.keys()) feed.output.stream.destroy();
  }

  #tokenOf({ organizationId, after }: FeedRequest): string | undefined {
    if (after === undefined) return undefined;
    const token = this.#deps.positions.open(organizationId, after.position);
    if (token === undefined) throw new InvalidPositionError(after.field);
    return token;
  }

  /** @returns gives it back */
  #take(organization: string): () => void {
    const { total, perOrganization } = this.#deps.limits;
    const open = this.#open.get(organization) ?? 0;
    if (open >= perOrganization)
      throw new TooManyFeedsError(
        `This organization has ${open} feeds open, and may have no more.`,
      );
    if (this.#total >= total)
      throw new TooManyFeedsError('This instance has as many feeds open as it can serve.');
    this.#open.set(organization, open + 1);
    this.#total += 1;
    return () => {
      const left = (this.#open.get(organization) ?? 1) - 1;
      if (left === 0) this.#open.delete(organization);
      else this.#open.set(organization, left);
      this.#total -= 1;
    };
  }

  async #make(request: FeedRequest, after: string | undefined): Promise<ChangeFeed> {
    const { client, directory, positions, times, logger } = this.#deps;
    const { organizationId, mode } = request;
    const collection = await directory.open(organizationId);
    const parts = {
      ...{ collection, mode, times, logger },
      openChanges: (token: string | undefined) =>
        TenantChanges.open(client, collection.commands.reference, {
          after: token,
          read: exactOf,
        }),
      lostAccess: () => this.#lostAccess(request),
      seal: (token: string) => positions.seal(organizationId, token),
    };
    return ChangeFeed.open(parts, after);
  }

  async #lostAccess({ organizationId, admit }: FeedRequest): Promise<FeedEnd | undefined> {
    try {
      await admit();
      return undefined;
    } catch (error) {
      if (!(error instanceof AppError) || error.kind === 'unavailable') throw error;
      if (error.code === 'token_expired') return 'token_expired';
      const state = await this.#deps.registry.stateOf(organizationId).catch(() => undefined);
      return state !== undefined && isGone(state) ? 'organization_deleted' : 'access_lost';
    }
  }
}
