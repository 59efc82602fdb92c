import { setTimeout as delay } from 'node:timers/promises';
import { isDatabaseUnavailable } from '../database/database-errors.ts';
import { sharingPatience } from '../database/deadline.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../logging/logger.ts';
import { type ExtendedJsonMode, jsonOf } from '../records/extended-json.ts';
import { OrganizationNotFoundError } from '../registry/registry-errors.ts';
import {
  type ChangeBatch,
  ChangeHistoryLostError,
  type TenantChange,
  type TenantChanges,
} from '../tenants/tenant-changes.ts';
import type { TenantCollection } from '../tenants/tenant-collection.ts';
import { type ChangedRecord, ChangedRecords, groupOf, MAX_GROUP } from './changed-records.ts';
import { EventOutput } from './event-output.ts';
import type { FeedTimes } from './feed-times.ts';

/** When a browser that lost the connection comes back. */
const RETRY_MS = 2_000;

/** Why a feed ends by itself. */
export type FeedEnd =
  | 'organization_deleted'
  | 'access_lost'
  | 'token_expired'
  | 'history_lost'
  | 'database_unavailable'
  | 'shutting_down';

/** What one reader's feed is made of. */
export interface ChangeFeedParts {
  collection: TenantCollection;
  /** Opens a stream of the organization's changes. */
  openChanges: (after: string | undefined) => Promise<TenantChanges>;
  /** Whether the reader may still read: resolves with why not. @throws DatabaseUnavailableError when that cannot be known */
  lostAccess: () => Promise<FeedEnd | undefined>;
  /** A position as the reader gets it. */
  seal: (token: string) => string | undefined;
  mode: ExtendedJsonMode;
  times: FeedTimes;
  logger: Logger;
}

/**
 * The changes of one organization, sent to one reader, in order, each at least once. It asks the database for more only when
 * the reader has taken what there was.
 */
export class ChangeFeed {
  readonly output: EventOutput;
  readonly #parts: ChangeFeedParts;
  readonly #first: Promise<ChangeBatch>;
  #changes: TenantChanges | undefined;
  /** Where to go on: after what the reader has been sent. */
  #token: string;
  #isChecking = false;
  #groupSize = 1;

  private constructor(
    parts: ChangeFeedParts,
    {
      changes,
      token,
      first,
    }: { changes: TenantChanges; token: string; first: Promise<ChangeBatch> },
  ) {
    this.output = new EventOutput({ stallMs: parts.times.stallMs });
    this.#parts = parts;
    this.#changes = changes;
    this.#token = token;
    this.#first = first;
  }

  /**
   * Looks whether the changes since a position can be had, as far as that can be told soon: where there is much of others to
   * pass over, the feed begins before.
   *
   * @param after - the position; by default now
   * @throws ChangeHistoryLostError, DatabaseUnavailableError
   */
  static async open(parts: ChangeFeedParts, after: string | undefined): Promise<ChangeFeed> {
    const changes = await parts.openChanges(after);
    const first = changes.next();
    // Whoever waits for it hears of its failure, now or in `run`.
    first.catch(() => {});
    if (after !== undefined) {
      try {
        await Promise.race([first, delay(parts.times.openMs, undefined, { ref: false })]);
      } catch (error) {
        await changes[Symbol.asyncDispose]();
        throw error;
      }
    }
    return new ChangeFeed(parts, { changes, token: after ?? changes.token, first });
  }

  /** Sends until the reader has gone or the feed has ended. Never rejects. */
  async run(): Promise<void> {
    const { heartbeatMs, accessMs } = this.#parts.times;
    const timers = [
      setInterval(() => this.#beat(), heartbeatMs),
      setInterval(() => void this.#watchAccess(), accessMs),
    ];
    // Of a reader that has gone the database hears at once.
    this.output.stream.once('close', () => void this.#close());
    try {
      await this.#send({ event: 'ready', data: '{}', retry: RETRY_MS });
      await this.#follow();
    } finally {
      for (const timer of timers) clearInterval(timer);
      await this.#close();
    }
  }

  /** Tells the reader why it is over, and ends the answer. */
  end(reason: FeedEnd): void {
    const id = this.#parts.seal(this.#token);
    this.output.end({ event: 'end', id, data: JSON.stringify({ reason }) });
    void this.#close();
  }

  /** Goes on after failures of the database, from where it was, for as long as it is not away for long. */
  async #follow(): Promise<void> {
    const { times, logger } = this.#parts;
    let pending: Promise<ChangeBatch> | undefined = this.#first;
    let failingSince: number | undefined;
    while (!this.output.isOver) {
      try {
        const batch = await (pending ?? this.#next());
        pending = undefined;
        await this.#sendBatch(batch);
        failingSince = undefined;
      } catch (error) {
        pending = undefined;
        await this.#close();
        if (this.output.isOver) return;
        if (error instanceof ChangeHistoryLostError) return this.end('history_lost');
        if (error instanceof OrganizationNotFoundError) return this.end('organization_deleted');
        if (failingSince === undefined && !isAway(error))
          logger.error({ err: error }, 'a change feed failed; will go on where it was');
        failingSince ??= performance.now();
        if (performance.now() - failingSince > times.awayMs)
          return this.end('database_unavailable');
        await delay(times.pauseMs);
      }
    }
  }

  /** Each step has a patience of its own: the request's ran out at the first failure. */
  #next(): Promise<ChangeBatch> {
    return sharingPatience(async () => {
      this.#changes ??= await this.#parts.openChanges(this.#token);
      return this.#changes.next();
    });
  }

  async #sendBatch({ changes, token }: ChangeBatch): Promise<void> {
    for (let from = 0; from < changes.length && !this.output.isOver; ) {
      await this.#assertAccess();
      if (this.output.isOver) return;
      const group = groupOf(changes, from, this.#groupSize);
      const records = await sharingPatience(() => ChangedRecords.of(this.#parts.collection, group));
      this.#groupSize = Math.min(2 * this.#groupSize, MAX_GROUP);
      for (const change of group) {
        if (change.type === 'drop') return this.end('organization_deleted');
        const record = records.recordOf(change);
        if (record === undefined) {
          this.#groupSize = 1;
          break;
        }
        const hasRoom = await this.#sendChange(change, record);
        from += 1;
        if (hasRoom) continue;
        // Meanwhile the others may have changed; and what waits for a slow reader is one record, not many.
        this.#groupSize = 1;
        break;
      }
    }
    this.#token = token;
  }

  #sendChange(change: TenantChange, record: ChangedRecord | null): Promise<boolean> {
    const { mode } = this.#parts;
    const data = {
      type: change.type,
      id: jsonOf(change.id, mode),
      record: record && jsonOf(record.document, mode),
      etag: record?.etag ?? null,
      at: change.at.toISOString(),
    };
    this.#token = change.token;
    return this.#send({ event: change.type, data: JSON.stringify(data) });
  }

  #send(event: { event: string; data: string; retry?: number }): Promise<boolean> {
    return this.output.send({ ...event, id: this.#parts.seal(this.#token) });
  }

  /** Shows that somebody is there, and how far all changes are known, so that a quiet feed does not grow old. */
  #beat(): void {
    this.output.sendWhenIdle({ comment: 'heartbeat', id: this.#parts.seal(this.#token) });
  }

  async #watchAccess(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    // While the database is away nothing is sent either.
    await this.#assertAccess().catch(() => {});
    this.#isChecking = false;
  }

  /** Ends the feed of a reader who may not read any more. @throws DatabaseUnavailableError when that cannot be known */
  async #assertAccess(): Promise<void> {
    const reason = await sharingPatience(() => this.#parts.lostAccess());
    if (reason !== undefined) this.end(reason);
  }

  async #close(): Promise<void> {
    const changes = this.#changes;
    this.#changes = undefined;
    await changes?.[Symbol.asyncDispose]();
  }
}

function isAway(error: unknown): boolean {
  return (
    isDatabaseUnavailable(error) || (error instanceof AppError && error.kind === 'unavailable')
  );
}
