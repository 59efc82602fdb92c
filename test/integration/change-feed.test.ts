import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ObjectId } from 'mongodb';
import { beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { FEED_TIMES } from '../../src/change-feed/feed-times.ts';
import type { TenantCollection } from '../../src/tenants/tenant-collection.ts';
import { makeKey, withKey } from '../support/api-keys.ts';
import { addressOf, type FeedOptions, FeedReader } from '../support/change-feed.ts';
import { aMember } from '../support/members.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
  type TestServiceOptions,
} from '../support/test-service.ts';

const TIMES = { ...FEED_TIMES, accessMs: 20, pauseMs: 5 };

const startService = (options: TestServiceOptions = {}) =>
  startTestService({ feedTimes: TIMES, ...options });

/** Opens a feed that is let in, and waits until it is live. */
async function live(service: TestService, { auth }: Pick<SignedUp, 'auth'>, options?: FeedOptions) {
  const reader = await FeedReader.open(service, auth, options);
  const [ready] = await reader.take(1);
  expect(ready).toEqual({ event: 'ready', id: expect.stringMatching(/^[\w-]+$/), data: {} });
  return reader;
}

/** A refusal, as "status code". */
async function refusal(service: TestService, { auth }: SignedUp, options: FeedOptions) {
  using reader = await FeedReader.open(service, auth, options);
  const { code, status } = await reader.problem();
  expect(reader.response.statusCode).toBe(status);
  return `${status} ${code}`;
}

function recordsOf({ services }: TestService, { organization }: SignedUp) {
  return services.directory.open(ObjectId.createFromHexString(organization.id));
}

async function rename(
  service: TestService,
  { auth: headers }: SignedUp,
  organization_name: string,
) {
  const payload = { organization_name };
  const request = { method: 'PUT', url: '/org/update', headers, payload } as const;
  expectStatus(await service.app.inject(request), 200);
}

const repeatable = { repeatable: true };
const setting = (id: unknown, fields: object) => [{ q: { _id: id }, u: { $set: fields } }];

test.runIf(inject('topology') === 'standalone')(
  'a standalone MongoDB has no feed, and the answer says why',
  async () => {
    await using service = await startService();
    const acme = await signUpAndIn(service);
    expect(await refusal(service, acme, {})).toBe('503 change_feed_unavailable');
  },
);

describe.runIf(inject('topology') === 'replica-set')('a change feed', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService();
    return () => service[Symbol.asyncDispose]();
  });

  test('tells every change in order, with the record as it is', async () => {
    const acme = await signUpAndIn(service);
    const records = await recordsOf(service, acme);
    using reader = await live(service, acme);
    expect(reader.response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    await records.insertMany([{ _id: 'a', n: 1 }]);
    const [insert] = await reader.take(1);
    await records.update(setting('a', { n: 2 }), repeatable);
    const [update] = await reader.take(1);
    await records.update([{ q: { _id: 'a' }, u: { n: 3 } }], repeatable);
    const [replace] = await reader.take(1);
    await records.delete([{ q: { _id: 'a' }, limit: 1 }]);
    const [deletion] = await reader.take(1);
    const told = (type: string, record: object | null) => ({
      event: type,
      id: expect.stringMatching(/^[\w-]+$/),
      data: {
        ...{ type, id: 'a', record, at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/) },
        etag: record && expect.stringMatching(/^"[\w-]{27}"$/),
      },
    });
    expect([insert, update, replace, deletion]).toEqual([
      told('insert', { _id: 'a', n: 1 }),
      told('update', { _id: 'a', n: 2 }),
      told('replace', { _id: 'a', n: 3 }),
      told('delete', null),
    ]);
    expect(reader.lastId).toBe(deletion?.id);
  });

  test('tells references as they are, also as ids', async () => {
    const acme = await signUpAndIn(service);
    using reader = await live(service, acme);
    const $ref = { $ref: 'fs.files', $id: 1 };
    const record = { _id: $ref, a: [$ref] };
    const request = { method: 'POST', url: '/org/records', headers: acme.auth } as const;
    expectStatus(await service.app.inject({ ...request, payload: record }), 201);
    const [insert] = await reader.take(1);
    expect(insert?.data).toMatchObject({ id: $ref, record });
  });

  test('tells types in canonical Extended JSON where that is wanted', async () => {
    const acme = await signUpAndIn(service);
    using reader = await live(service, acme, { query: { extended_json: 'canonical' } });
    await (await recordsOf(service, acme)).insertMany([{ _id: 7, n: 1 }]);
    const [insert] = await reader.take(1);
    const [id, n] = [{ $numberInt: '7' }, { $numberInt: '1' }];
    expect(insert?.data).toMatchObject({ id, record: { _id: id, n } });
  });

  test('goes on after the last id without a gap, from before the first change on', async () => {
    const acme = await signUpAndIn(service);
    const records = await recordsOf(service, acme);
    const first = await live(service, acme);
    first[Symbol.dispose]();
    await records.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
    await records.delete([{ q: { _id: 2 }, limit: 1 }]);
    const headers = { 'last-event-id': String(first.lastId) };
    using second = await live(service, acme, { headers });
    const told = await second.take(4);
    expect(told.map(({ data }) => [data.type, data.id, data.record])).toEqual([
      ['insert', 1, { _id: 1 }],
      // It is gone by now.
      ['insert', 2, null],
      ['insert', 3, { _id: 3 }],
      ['delete', 2, null],
    ]);
    // Of both the header is newer.
    const query = { after: String(first.lastId) };
    const after = { 'last-event-id': String(told[2]?.id) };
    using third = await live(service, acme, { query, headers: after });
    expect((await third.take(1)).map(({ data }) => data.type)).toEqual(['delete']);
    using fourth = await live(service, acme, { query });
    expect((await fourth.take(4)).map(({ id }) => id)).not.toContain(undefined);
  });

  test('shows that it is there, and how far everything is known', async () => {
    await using quick = await startService({ feedTimes: { ...TIMES, heartbeatMs: 10 } });
    const acme = await signUpAndIn(quick);
    using reader = await live(quick, acme);
    const before = reader.lastId;
    await vi.waitFor(() => expect(reader.comments).toContain('heartbeat'), 10_000);
    await vi.waitFor(() => expect(reader.lastId).not.toBe(before), 10_000);
    const headers = { 'last-event-id': String(reader.lastId) };
    using second = await live(quick, acme, { headers });
    await (await recordsOf(quick, acme)).insertMany([{ _id: 1 }]);
    expect((await second.take(1))[0]?.data.id).toBe(1);
  });

  test('refuses positions that are none, or of another organization', async () => {
    const acme = await signUpAndIn(service);
    const other = await signUpAndIn(service);
    using theirs = await live(service, other);
    for (const garbage of ['x', '82', '%00', 'ü', 'A'.repeat(7_000), String(theirs.lastId)]) {
      const after = { query: { after: garbage } };
      expect.soft(await refusal(service, acme, after), garbage).toBe('400 invalid_cursor');
    }
    const headers = { 'last-event-id': String(theirs.lastId) };
    expect(await refusal(service, acme, { headers })).toBe('400 invalid_cursor');
    expect(await refusal(service, acme, { query: { after: '' } })).toBe('400 invalid_cursor');
  });

  test('is for those who ask for a stream of events', async () => {
    const acme = await signUpAndIn(service);
    for (const accept of ['*/*', 'application/json', 'text/event-streams'])
      expect(await refusal(service, acme, { headers: { accept } })).toBe('406 event_stream_only');
    const request = { url: '/org/records/changes', headers: acme.auth };
    expectStatus(await service.app.inject({ method: 'HEAD', ...request }), 405);
    using reader = await live(service, acme, {
      headers: { accept: 'application/json, text/event-stream;q=0.9' },
    });
    expect(reader.response.statusCode).toBe(200);
  });

  test('goes on through renames, and shows nothing of who takes the name', async () => {
    const acme = await signUpAndIn(service);
    const beta = await signUpAndIn(service);
    const [ours, theirs] = [await recordsOf(service, acme), await recordsOf(service, beta)];
    const { organization_name: a } = acme.signUp;
    const { organization_name: b } = beta.signUp;
    using reader = await live(service, acme);
    using other = await live(service, beta);
    await ours.insertMany([{ _id: 1, of: 'acme' }]);
    await theirs.insertMany([{ _id: 1, of: 'beta' }]);
    await rename(service, acme, `${a} on the way`);
    await rename(service, beta, a);
    await rename(service, acme, b);
    await theirs.update(setting(1, { n: 1 }), repeatable);
    await ours.update(setting(1, { n: 1 }), repeatable);
    const [told, toldOther] = [await reader.take(2), await other.take(2)];
    // From before the names changed hands, read after it.
    const headers = { 'last-event-id': String(told[0]?.id) };
    using again = await live(service, acme, { headers });
    for (const [events, of] of [
      [told, 'acme'],
      [toldOther, 'beta'],
      [await again.take(1), 'acme'],
    ] as const)
      for (const { data } of events) expect(data.record).toMatchObject({ _id: 1, of });
  });

  test('says that it has ended, and why', async () => {
    const acme = await signUpAndIn(service);
    using ofOwner = await live(service, acme);
    const key = await makeKey(service, acme.auth, ['record:read']);
    using ofKey = await live(service, { auth: withKey(key) });
    const viewer = await aMember(service, acme, 'viewer');
    using ofViewer = await live(service, viewer);
    const leaver = await aMember(service, acme, 'viewer');
    using ofLeaver = await live(service, leaver);

    const { auth: headers } = acme;
    const ended = { event: 'end', data: { reason: 'access_lost' } };
    const url = `/org/api-keys/${key.id}`;
    expectStatus(await service.app.inject({ method: 'DELETE', url, headers }), 204);
    expect(await ofKey.rest()).toMatchObject([ended]);

    const logout = { method: 'POST', url: '/admin/logout', headers: leaver.auth } as const;
    expectStatus(await service.app.inject(logout), 204);
    expect(await ofLeaver.rest()).toMatchObject([ended]);

    const role = { name: 'blind', permissions: ['org:read'] };
    const post = { method: 'POST', url: '/org/roles', headers, payload: role } as const;
    expectStatus(await service.app.inject(post), 201);
    const payload = { role: 'blind' };
    const patch = { method: 'PATCH', url: `/org/members/${viewer.id}`, headers, payload } as const;
    expectStatus(await service.app.inject(patch), 200);
    expect(await ofViewer.rest()).toMatchObject([ended]);

    expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    const reason = 'organization_deleted';
    expect(await ofOwner.rest()).toMatchObject([{ event: 'end', data: { reason } }]);
  });

  test('ends when the token does, or the key', async () => {
    await using own = await startService();
    const acme = await signUpAndIn(own);
    const expires_at = new Date(own.clock.now().getTime() + 1_000).toISOString();
    const key = await makeKey(own, acme.auth, ['record:read'], { expires_at });
    using ofKey = await live(own, { auth: withKey(key) });
    using ofOwner = await live(own, acme);
    own.clock.advance(1_000);
    expect(await ofKey.rest()).toMatchObject([{ data: { reason: 'access_lost' } }]);
    own.clock.advance(3_600_000);
    expect(await ofOwner.rest()).toMatchObject([{ data: { reason: 'token_expired' } }]);
  });

  test('ends when the organization is deleted by another instance', async () => {
    const { masterDatabase: database } = service.settings;
    const { clock } = service;
    await using other = await startService({ database, clock });
    const acme = await signUpAndIn(service);
    using reader = await live(service, acme);
    const { auth: headers } = acme;
    expectStatus(await other.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    const reason = 'organization_deleted';
    expect(await reader.rest()).toMatchObject([{ event: 'end', data: { reason } }]);
  });

  test('does not hold up the end of the service', async () => {
    const own = await startService();
    const acme = await signUpAndIn(own);
    using reader = await live(own, acme);
    await own[Symbol.asyncDispose]();
    const reason = 'shutting_down';
    expect(await reader.rest()).toMatchObject([{ event: 'end', data: { reason } }]);
  });

  test('is bounded in number, by organization and in all', async () => {
    await using own = await startService({ feedLimits: { total: 3, perOrganization: 2 } });
    const [acme, beta] = [await signUpAndIn(own), await signUpAndIn(own)];
    const readers = [await live(own, acme), await live(own, acme)];
    using refused = await FeedReader.open(own, acme.auth);
    expect(await refused.problem()).toMatchObject({ status: 503, code: 'too_many_feeds' });
    expect(refused.response.headers['retry-after']).toBe('5');
    readers.push(await live(own, beta));
    expect(await refusal(own, beta, {})).toBe('503 too_many_feeds');
    for (const reader of readers) reader[Symbol.dispose]();
    await vi.waitFor(async () => (await live(own, beta))[Symbol.dispose](), 10_000);
  });
});

describe.runIf(inject('topology') === 'replica-set')('a reader that does not read', () => {
  /** Asks for a feed, and takes nothing of it. */
  async function deafReader(service: TestService, { auth }: SignedUp): Promise<Socket> {
    const { port } = new URL(await addressOf(service));
    const socket = connect(Number(port), '127.0.0.1').pause();
    await once(socket, 'connect');
    socket.write(
      'GET /org/records/changes HTTP/1.1\r\nHost: service.example\r\n' +
        `Accept: text/event-stream\r\nAuthorization: ${auth.authorization}\r\n\r\n`,
    );
    return socket;
  }

  const write = async (records: TenantCollection, megabytes: number) => {
    for (let n = 0; n < megabytes; n += 1)
      await records.insertMany(Array.from({ length: 10 }, () => ({ text: 'x'.repeat(100_000) })));
  };

  test('takes no memory, and is cut off', async () => {
    const times = { ...TIMES, stallMs: 1_500 };
    await using service = await startService({ feedTimes: times });
    const acme = await signUpAndIn(service);
    const records = await recordsOf(service, acme);
    const opened = vi.spyOn(service.services.changeFeeds, 'open');
    const socket = await deafReader(service, acme);
    await vi.waitFor(() => expect(opened.mock.settledResults[0]?.type).toBe('fulfilled'), 10_000);
    const feed = await opened.mock.results[0]?.value;
    const closed = once(feed.output.stream, 'close');
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, feed.output.stream.readableLength + feed.output.stream.writableLength);
    }, 1);
    await write(records, 50);
    await closed;
    clearInterval(watch);
    // Two buffers, and an event.
    expect(most).toBeLessThan(400_000);
    socket.destroy();
  });
});
