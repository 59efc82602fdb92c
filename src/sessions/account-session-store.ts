import type { Collection, Filter, ObjectId } from 'mongodb';
import type { AccessChanged } from '../access/access-changes.ts';
import { retryTransient } from '../database/database-errors.ts';
import { withinDeadline } from '../database/deadline.ts';
import { type Page, type PageRequest, pageOf } from '../http/pagination.ts';

/** One sign-in on one device, from login to its end, of whatever kind of account. */
export interface AccountSessionDocument {
  _id: ObjectId;
  /** The account's era in which it was begun: {@link AccountDocument.session_era}. */
  era: ObjectId | null;
  /** Those that were to begin from within it, latest last: see {@link AccountSessionStore.admitTo}. */
  next_eras?: ObjectId[];
  /** How often the session has been refreshed: only the refresh token of this generation is good. */
  refresh_generation: number;
  rotated_at: Date;
  client: SessionClient;
  created_at: Date;
  /** When the session ends at the latest, however much it is used. */
  expires_at: Date;
  /** When it ends unless it is refreshed before. */
  idle_expires_at: Date;
  /** To the minute: see {@link LastUse}. */
  last_used_at: Date;
}

/** What tells one client from another, as far as a request shows it. */
export interface SessionClient {
  address: string;
  user_agent: string | null;
}

/** Of the eras that were to begin from within a session so many are remembered: more than begin at the same time. */
const NEXT_ERAS_KEPT = 20;

/** Every query on sessions that is the same for all kinds of accounts; each kind has a collection of its own. */
export class AccountSessionStore<T extends AccountSessionDocument = AccountSessionDocument> {
  readonly #sessions: Collection<AccountSessionDocument>;
  readonly #holder: string;
  readonly #changed: AccessChanged;

  /** @param holder - the field that names the account */
  constructor(sessions: Collection<T>, holder: keyof T & string, changed: AccessChanged) {
    this.#sessions = sessions as unknown as Collection<AccountSessionDocument>;
    this.#holder = holder;
    this.#changed = changed;
  }

  async insert(session: T): Promise<void> {
    await retryTransient(() =>
      this.#sessions.replaceOne({ _id: session._id }, session, {
        ...withinDeadline(),
        upsert: true,
      }),
    );
  }

  /** @returns the session unless it has ended or expired */
  findLive(id: ObjectId, now: Date): Promise<T | null> {
    return retryTransient(() =>
      this.#sessions.findOne<T>({ _id: id, ...live(now) }, withinDeadline()),
    );
  }

  /** A person's sessions that have not ended, oldest first. */
  async page(accountId: ObjectId, { limit, after }: PageRequest, now: Date): Promise<Page<T>> {
    const filter = { ...this.#of(accountId), ...live(now), ...(after && { _id: { $gt: after } }) };
    const found = await retryTransient(() =>
      this.#sessions
        .find<T>(filter, withinDeadline())
        .sort({ _id: 1 })
        .limit(limit + 1)
        .toArray(),
    );
    return pageOf(found, limit);
  }

  /** Moves on to the next refresh token, once. @returns the rotated session, or null if another was faster */
  rotate(
    id: ObjectId,
    from: number,
    by: Pick<AccountSessionDocument, 'rotated_at' | 'client' | 'idle_expires_at'>,
  ): Promise<T | null> {
    return retryTransient(
      () =>
        this.#sessions.findOneAndUpdate(
          { _id: id, refresh_generation: from },
          { $set: { ...by, last_used_at: by.rotated_at, refresh_generation: from + 1 } },
          { ...withinDeadline(), returnDocument: 'after' },
        ) as Promise<T | null>,
    );
  }

  /** Writes down when sessions were last used. A lost answer is no loss: it is a maximum. */
  async recordUse(uses: readonly { id: ObjectId; at: Date }[]): Promise<void> {
    const writes = uses.map(({ id, at }) => ({
      updateOne: { filter: { _id: id }, update: { $max: { last_used_at: at } } },
    }));
    await retryTransient(() =>
      this.#sessions.bulkWrite(writes, { ...withinDeadline(), ordered: false }),
    );
  }

  async end(id: ObjectId): Promise<void> {
    await retryTransient(() => this.#sessions.deleteOne({ _id: id }, withinDeadline()));
    this.#changed(id);
  }

  /** Ends one of a person's sessions. @returns false when the person has no such session */
  async endOwn(accountId: ObjectId, id: ObjectId): Promise<boolean> {
    const ended = await retryTransient(() =>
      this.#sessions.deleteOne({ _id: id, ...this.#of(accountId) }, withinDeadline()),
    );
    this.#changed(id);
    return ended.deletedCount === 1;
  }

  /** Ends a person's sessions, all but one. */
  async endOthers(accountId: ObjectId, keep: ObjectId): Promise<void> {
    await retryTransient(() =>
      this.#sessions.deleteMany({ ...this.#of(accountId), _id: { $ne: keep } }, withinDeadline()),
    );
    this.#changed(accountId);
  }

  /**
   * Has a session be good in an era that is about to begin as well: so that whoever begins it is not signed out for the
   * moment between the two writes. Should it not begin, that means nothing.
   */
  async admitTo(era: ObjectId, id: ObjectId): Promise<void> {
    const admitted = { next_eras: { $each: [era], $slice: -NEXT_ERAS_KEPT } };
    await retryTransient(() =>
      this.#sessions.updateOne({ _id: id }, { $push: admitted }, withinDeadline()),
    );
    this.#changed(id);
  }

  /** Removes a person's sessions of the eras before one that has begun: they open nothing any more. */
  async endBefore(accountId: ObjectId, era: ObjectId): Promise<void> {
    const ofEra = [{ era }, { next_eras: era }];
    await retryTransient(() =>
      this.#sessions.deleteMany({ ...this.#of(accountId), $nor: ofEra }, withinDeadline()),
    );
    this.#changed(accountId);
  }

  #of(accountId: ObjectId): Filter<AccountSessionDocument> {
    return { [this.#holder]: accountId };
  }
}

/** When a session ends unless it is refreshed before. */
export function endOf({ expires_at, idle_expires_at }: AccountSessionDocument): Date {
  return idle_expires_at < expires_at ? idle_expires_at : expires_at;
}

/** Whether a session is good in an era. @param era - the account's */
export function isOfEra(
  session: Pick<AccountSessionDocument, 'era' | 'next_eras'>,
  era: ObjectId | null,
): boolean {
  if (era === null) return session.era === null;
  return [session.era, ...(session.next_eras ?? [])].some((one) => one?.equals(era));
}

/** TTL indexes run once a minute, so every query looks at the time itself. */
function live(now: Date) {
  return { expires_at: { $gt: now }, idle_expires_at: { $gt: now } };
}
