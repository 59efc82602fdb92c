import type { CommandStartedEvent, MongoClient } from 'mongodb';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { expectProblem } from '../support/api.ts';
import { aMember } from '../support/members.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let second: TestService;
/** Without timers of its own, so that every command it sends is a request's. */
let counted: TestService;
/** The collections it has sent commands for since this was emptied. */
let asked: string[] = [];
beforeAll(async () => {
  service = await startTestService();
  const { masterDatabase: database } = service.settings;
  const { clock } = service;
  second = await startTestService({ database, clock });
  counted = await startTestService({ database, clock, start: false, clientView: watched });
});
afterAll(async () => {
  await counted[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

type Auth = { authorization: string };

const get = (headers: Auth, url: string, by: TestService) => by.app.inject({ url, headers });
const members = (headers: Auth, by = service) => get(headers, '/org/members', by);
const logout = (headers: Auth, by = service) =>
  by.app.inject({ method: 'POST', url: '/admin/logout', headers });

/** The driver reads the option when it connects, which it has not done yet. */
function watched(client: MongoClient): MongoClient {
  client.options.monitorCommands = true;
  client.on('commandStarted', ({ command, commandName }: CommandStartedEvent) => {
    asked.push(String(command[commandName]));
  });
  return client;
}

async function readFor(request: () => Promise<unknown>): Promise<string[]> {
  asked = [];
  await request();
  return asked;
}

describe('who is asking', () => {
  test('costs no command once it is known, whatever the role', async () => {
    const acme = await signUpAndIn(service);
    const role = { name: 'reader', permissions: ['member:read'] };
    const created = await service.app.inject({
      ...{ method: 'POST', url: '/org/roles', headers: acme.auth },
      payload: role,
    });
    expectStatus(created, 201);
    const reader = await aMember(service, acme, 'reader');
    for (const { auth } of [acme, reader]) {
      const first = await readFor(async () => expectStatus(await members(auth, counted), 200));
      expect(first).toContain('sessions');
      expect(first).toContain('memberships');
      for (let n = 0; n < 10; n += 1) {
        const again = await readFor(async () => expectStatus(await members(auth, counted), 200));
        // The list itself.
        expect(again).toEqual(['memberships', 'admins']);
      }
    }
  });

  test('is asked anew by what changes something', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await members(acme.auth, counted), 200);
    const read = await readFor(async () =>
      expectStatus(
        await counted.app.inject({
          ...{ method: 'PATCH', url: '/admin/me', headers: acme.auth },
          payload: { name: 'Ada' },
        }),
        200,
      ),
    );
    expect(read).toContain('sessions');
  });

  test('is one question, however many ask at once', async () => {
    const acme = await signUpAndIn(service);
    const read = await readFor(() =>
      Promise.all(Array.from({ length: 50 }, () => members(acme.auth, counted))),
    );
    expect(read.filter((name) => name === 'sessions')).toHaveLength(1);
  });

  test('does not mix up what a token claims', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    const both = [acme, globex].map(({ auth }) => members(auth, counted));
    const [ours, theirs] = (await Promise.all(both)).map((one) => expectStatus(one, 200).json());
    expect(ours.data[0].email).toBe(acme.signUp.email);
    expect(theirs.data[0].email).toBe(globex.signUp.email);
  });
});

describe('an ended session', () => {
  test('is refused at once where it was ended, and within a second elsewhere', async () => {
    const acme = await signUpAndIn(service);
    for (const one of [service, second]) expectStatus(await members(acme.auth, one), 200);
    expectStatus(await logout(acme.auth), 204);
    expectProblem(await members(acme.auth), 401, 'invalid_token');
    service.clock.advance(1_000);
    expectProblem(await members(acme.auth, second), 401, 'invalid_token');
  });

  test('changes nothing any more, on any instance, at once', async () => {
    const acme = await signUpAndIn(service);
    for (const one of [service, second]) expectStatus(await members(acme.auth, one), 200);
    expectStatus(await logout(acme.auth), 204);
    expectProblem(await logout(acme.auth, second), 401, 'invalid_token');
  });

  test('is refused when it expires, to the millisecond, however well it is known', async () => {
    const acme = await signUpAndIn(service);
    const sessions = service.db.collection('sessions');
    const now = service.clock.now().getTime();
    const filter = { organization_id: new ObjectId(acme.organization.id) };
    await sessions.updateMany(filter, { $set: { idle_expires_at: new Date(now + 500) } });
    service.clock.advance(499);
    expectStatus(await members(acme.auth), 200);
    service.clock.advance(1);
    expectProblem(await members(acme.auth), 401, 'invalid_token');
  });
});

test('a deleted organization is refused at once where it was deleted, and within a second elsewhere', async () => {
  const acme = await signUpAndIn(service);
  for (const one of [service, second]) expectStatus(await members(acme.auth, one), 200);
  const { auth: headers } = acme;
  expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
  expectProblem(await members(headers), 401, 'invalid_token');
  service.clock.advance(1_000);
  expectProblem(await members(headers, second), 401, 'invalid_token');
});

/** Without a change stream only time tells; the clock of this test stands still. */
test('on a replica set, a change stream tells the other instance', async () => {
  const hello = await service.client.db('admin').command({ hello: 1 });
  if (hello.setName === undefined) return;
  const acme = await signUpAndIn(service);
  expectStatus(await members(acme.auth, second), 200);
  expectStatus(await logout(acme.auth), 204);
  await vi.waitFor(
    async () => expectProblem(await members(acme.auth, second), 401, 'invalid_token'),
    { timeout: 20_000, interval: 20 },
  );
});

test('last use is written down from time to time, and asks nobody anything anew', async () => {
  const acme = await signUpAndIn(service);
  service.clock.advance(600);
  expectStatus(await members(acme.auth), 200);
  const session = () =>
    service.db
      .collection('sessions')
      .findOne({ organization_id: new ObjectId(acme.organization.id) });
  const before = await session();
  await service.services.recordLastUse();
  const after = await session();
  expect(after?.last_used_at).toEqual(service.clock.now());
  expect({ ...after, last_used_at: null }).toEqual({ ...before, last_used_at: null });
});
