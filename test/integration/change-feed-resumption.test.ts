import fc from 'fast-check';
import { type MongoClient, MongoNetworkError, MongoServerError, ObjectId } from 'mongodb';
import { describe, expect, inject, test } from 'vitest';
import { FEED_TIMES } from '../../src/change-feed/feed-times.ts';
import { createMongoClient } from '../../src/database/mongo-client.ts';
import type { TenantCollection } from '../../src/tenants/tenant-collection.ts';
import { type FeedEvent, FeedReader } from '../support/change-feed.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const TIMES = { ...FEED_TIMES, pauseMs: 1 };

/** An instance whose feeds read with a client that fails where `fails` says so, by the number of the call. */
async function withFailingFeeds(
  fails: (call: number) => Error | undefined,
  times = TIMES,
): Promise<TestService> {
  const client = createMongoClient(inject('mongoUrl'));
  let calls = 0;
  const feedClient: MongoClient = interceptCalls(client, async (call) => {
    calls += 1;
    const error = fails(calls);
    if (error !== undefined) throw error;
    return call();
  });
  const service = await startTestService({ feedClient, feedTimes: times });
  return {
    ...service,
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      await client.close();
    },
  };
}

function recordsOf({ services }: TestService, { organization }: SignedUp) {
  return services.directory.open(ObjectId.createFromHexString(organization.id));
}

/** Some writers, each with records of its own that it inserts, changes and deletes. @returns what each did, in order */
async function write(records: TenantCollection, writers: number): Promise<Map<number, string[]>> {
  const done = new Map<number, string[]>();
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const own: string[] = [];
      done.set(writer, own);
      for (let n = 0; n < 10; n += 1) {
        const _id = `${writer}/${n}`;
        await records.insertMany([{ _id, n: 0 }]);
        own.push(`insert ${_id}`);
        const statement = { q: { _id }, u: { $set: { n: 1 } } };
        await records.update([statement], { repeatable: true });
        own.push(`update ${_id}`);
        if (n % 2 === 1) continue;
        await records.delete([{ q: { _id }, limit: 1 }]);
        own.push(`delete ${_id}`);
      }
    }),
  );
  return done;
}

const told = ({ data }: FeedEvent) => `${data.type} ${data.id}`;

/** Of each writer, what was told, in order; what was told again right after a reconnection counts once. */
function expectAll(events: readonly FeedEvent[], done: ReadonlyMap<number, string[]>): void {
  const once = [...new Set(events.map(told))];
  for (const [writer, own] of done)
    expect(once.filter((one) => one.includes(` ${writer}/`))).toEqual(own);
  expect(once).toHaveLength([...done.values()].flat().length);
}

describe.runIf(inject('topology') === 'replica-set')('a reader', () => {
  test('that loses the connection again and again misses nothing, while the organization is renamed', async () => {
    await using service = await startTestService({ feedTimes: TIMES });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 8 }),
        async (cuts) => {
          const acme = await signUpAndIn(service);
          const other = await signUpAndIn(service);
          const records = await recordsOf(service, acme);
          const theirs = await recordsOf(service, other);
          const first = await FeedReader.open(service, acme.auth);
          const [ready] = await first.take(1);
          const writing = Promise.all([
            write(records, 4),
            theirs.insertMany([{ _id: 'stranger' }]),
            renaming(service, acme),
          ]);
          // Together: of a write that fails nothing would be told.
          const [events, [done]] = await Promise.all([
            readWithCuts(service, acme, first, String(ready?.id), cuts),
            writing,
          ]);
          expectAll(events, done);
        },
      ),
      { numRuns: 3 },
    );
  });

  test('of a feed whose database fails again and again misses nothing', async () => {
    const broken = () => new MongoNetworkError('connection 1 to 127.0.0.1:27017 closed');
    await using service = await withFailingFeeds((call) => (call % 5 === 0 ? broken() : undefined));
    const acme = await signUpAndIn(service);
    const records = await recordsOf(service, acme);
    using reader = await FeedReader.open(service, acme.auth);
    await reader.take(1);
    const done = await write(records, 4);
    expectAll(await reader.take([...done.values()].flat().length), done);
  });

  test('hears of a database that stays away', async () => {
    let isAway = false;
    const times = { ...TIMES, awayMs: 20 };
    const away = () => new MongoNetworkError('connect ECONNREFUSED');
    await using service = await withFailingFeeds(() => (isAway ? away() : undefined), times);
    const acme = await signUpAndIn(service);
    using reader = await FeedReader.open(service, acme.auth);
    const [ready] = await reader.take(1);
    isAway = true;
    const data = { reason: 'database_unavailable' };
    expect(await reader.rest()).toEqual([{ event: 'end', id: expect.any(String), data }]);
    using refused = await FeedReader.open(service, acme.auth);
    expect(await refused.problem()).toMatchObject({ status: 503, code: 'database_unavailable' });
    isAway = false;
    await (await recordsOf(service, acme)).insertMany([{ _id: 1 }]);
    const headers = { 'last-event-id': String(ready?.id) };
    using again = await FeedReader.open(service, acme.auth, { headers });
    expect((await again.take(2)).map(({ event }) => event)).toEqual(['ready', 'insert']);
  });

  test('hears that the database no longer remembers where it was', async () => {
    let isLost = false;
    const lost = () => new MongoServerError({ message: 'the resume point is gone', code: 286 });
    await using service = await withFailingFeeds(() => (isLost ? lost() : undefined));
    const acme = await signUpAndIn(service);
    using reader = await FeedReader.open(service, acme.auth);
    await reader.take(1);
    isLost = true;
    expect(await reader.rest()).toMatchObject([{ event: 'end', data: { reason: 'history_lost' } }]);
    const headers = { 'last-event-id': String(reader.lastId) };
    using again = await FeedReader.open(service, acme.auth, { headers });
    expect(await again.problem()).toMatchObject({ status: 410, code: 'history_lost' });
  });
});

async function renaming({ app }: TestService, { auth: headers, signUp }: SignedUp): Promise<void> {
  for (let n = 0; n < 4; n += 1) {
    const payload = { organization_name: `${signUp.organization_name} ${n}` };
    expectStatus(await app.inject({ method: 'PUT', url: '/org/update', headers, payload }), 200);
  }
}

/** Reads all that {@link write} does with four writers, and loses the connection after so many events each. */
async function readWithCuts(
  service: TestService,
  { auth }: SignedUp,
  first: FeedReader,
  firstId: string,
  cuts: readonly number[],
): Promise<FeedEvent[]> {
  const count = 100;
  const events: FeedEvent[] = [];
  const seen = new Set<string>();
  let reader = first;
  for (let round = 0; seen.size < count; round += 1) {
    const most = cuts[round] ?? Infinity;
    for (let n = 0; n < most && seen.size < count; n += 1) {
      const event = await reader.next();
      if (event === undefined) throw new Error('the feed ended');
      if (event.event === 'ready') continue;
      events.push(event);
      seen.add(told(event));
    }
    reader[Symbol.dispose]();
    if (seen.size === count) break;
    // What came on the way after the cut was never seen: the last id is that of what was.
    const id = events.at(-1)?.id ?? firstId;
    reader = await FeedReader.open(service, auth, { headers: { 'last-event-id': id } });
  }
  return events;
}
