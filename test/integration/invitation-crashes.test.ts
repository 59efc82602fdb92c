import { MongoNetworkError, ObjectId } from 'mongodb';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { expectProblem, tally } from '../support/api.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import {
  accept,
  anInvitation,
  invitationsOf,
  invite,
  resend,
  revoke,
  SOME_PASSWORD,
  somebodyNew,
} from '../support/invitations.ts';
import { RecordingMailer, tokenIn } from '../support/recording-mailer.ts';
import { expectStatus, type SignedUp, signUpAndIn } from '../support/test-service.ts';

// A test goes through every instant of an operation.
vi.setConfig({ testTimeout: 120_000 });

const mails = new RecordingMailer();
let cluster: Cluster;
/** Is stopped; ends what it left; goes on as if nothing had happened. */
let first: Instance;
let second: Instance;
beforeAll(async () => {
  cluster = await Cluster.create();
  first = await cluster.instance({ mailer: mails });
  second = await cluster.instance({ mailer: mails });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const invitations = () => cluster.db.collection('invitations');

async function recover(): Promise<void> {
  cluster.clock.advance(3_001);
  await second.services.memberChanges.finishInterrupted();
  await second.services.acceptance.finishInterrupted();
}

/** Asserts that all is at rest, and says whether somebody has joined. */
async function hasJoined({ organization }: SignedUp, email: string): Promise<boolean> {
  expect(await contradictions(cluster.db)).toEqual([]);
  const half = { $or: [{ accepting: { $exists: true } }, { pending: { $exists: true } }] };
  for (const name of ['invitations', 'memberships'])
    expect(await cluster.db.collection(name).countDocuments(half)).toBe(0);
  const organization_id = new ObjectId(organization.id);
  const admin = await cluster.db.collection('admins').findOne({ email });
  const joined = { organization_id, admin_id: admin?._id ?? null };
  return (await cluster.db.collection('memberships').countDocuments(joined)) === 1;
}

const people = {
  'somebody new': {
    prepare: async () => ({ email: somebodyNew(), password: SOME_PASSWORD }),
  },
  'somebody with an account': {
    prepare: async () => (await signUpAndIn(second)).signUp,
  },
};

/** Goes through every reply of the database that an acceptance gets. */
async function atEveryReply(
  prepare: () => Promise<{ email: string; password: string }>,
  examine: (at: {
    acme: SignedUp;
    email: string;
    body: { token: string; password: string };
    id: string;
    wakeUp: () => ReturnType<typeof accept>;
  }) => Promise<void>,
): Promise<number> {
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const { email, password } = await prepare();
    const acme = await signUpAndIn(second);
    const { id, token } = await anInvitation({ ...second, mails }, acme, { email });
    const body = { token, password };
    const course = await first.stopper.during({ reply }, () => accept(first, body));
    if (course.kind === 'ended') {
      expectStatus(course.result, 200);
      return reply;
    }
    await examine({ acme, email, body, id, wakeUp: course.wakeUp });
  }
}

test.each(Object.entries(people))(
  'an acceptance by %s that is stopped at any call is undone or finished, and undone stays undone',
  async (_, { prepare }) => {
    const outcomes = new Set<boolean>();
    const replies = await atEveryReply(prepare, async ({ acme, email, body, wakeUp }) => {
      await recover();
      const joined = await hasJoined(acme, email);
      outcomes.add(joined);
      const listed = expectStatus(await invitationsOf(second, acme.auth), 200).json().data;
      expect(listed).toHaveLength(joined ? 0 : 1);
      // It wakes up, long after others have decided what becomes of it.
      const late = await wakeUp();
      const now = await hasJoined(acme, email);
      if (joined) expect(now).toBe(true);
      else if (now) expectStatus(late, 200);
      else expect(late.statusCode).toBeGreaterThanOrEqual(400);
      if (!now) expectStatus(await accept(second, body), 200);
      expect(await hasJoined(acme, email)).toBe(true);
      expectProblem(await accept(second, body), 404, 'invitation_not_found');
    });
    expect(replies).toBeGreaterThan(8);
    expect([...outcomes].sort()).toEqual([false, true]);
  },
);

test('an invitation that is revoked while whoever accepts it is stopped stays revoked', async () => {
  await atEveryReply(people['somebody new'].prepare, async ({ acme, email, id, wakeUp }) => {
    await recover();
    const joined = await hasJoined(acme, email);
    const revoked = await revoke(second, acme.auth, id);
    expect(revoked.statusCode).toBe(joined ? 404 : 204);
    const late = await wakeUp();
    expect(await hasJoined(acme, email)).toBe(joined);
    if (!joined) expectProblem(late, 404, 'invitation_not_found');
  });
});

test('while whoever accepts is stopped, others find the invitation busy, and nobody a member', async () => {
  await atEveryReply(people['somebody new'].prepare, async ({ acme, body, id, wakeUp }) => {
    const held = (await invitations().countDocuments({ accepting: { $exists: true } })) === 1;
    if (held) {
      expectProblem(await accept(second, body), 409, 'invitation_busy');
      expectProblem(await revoke(second, acme.auth, id), 409, 'invitation_busy');
      expectProblem(await resend(second, acme.auth, id), 409, 'invitation_busy');
      const { auth: headers } = acme;
      const members = await second.app.inject({ url: '/org/members', headers });
      expect(expectStatus(members, 200).json().data).toHaveLength(1);
    }
    expectStatus(await wakeUp(), 200);
  });
});

test('a deletion of the organization while whoever accepts is stopped leaves nothing of it', async () => {
  await atEveryReply(people['somebody new'].prepare, async ({ acme, email, wakeUp }) => {
    const { auth: headers } = acme;
    const url = '/org/delete';
    expectStatus(await second.app.inject({ method: 'DELETE', url, headers }), 200);
    const late = await wakeUp();
    // 200: it had found everything in order, and only the answer was left to give.
    const kinds = ['200', '404 invitation_not_found', '404 organization_not_found'];
    expect(kinds).toEqual(expect.arrayContaining(Object.keys(tally([late]))));
    await recover();
    expect(await hasJoined(acme, email)).toBe(false);
    expect(await cluster.db.collection('admins').countDocuments()).toBe(0);
    expect(await cluster.db.collection('memberships').countDocuments()).toBe(0);
  });
});

test('recovery may be interrupted at any call as well', async () => {
  for (const reply of [6, 8, 10, 12]) {
    for (let at = 1; ; at += 1) {
      await cluster.empty();
      const acme = await signUpAndIn(second);
      const { email, token } = await anInvitation({ ...second, mails }, acme);
      const body = { token, password: SOME_PASSWORD };
      const third = await cluster.instance({ mailer: mails });
      await first.stopper.during({ reply }, () => accept(first, body));
      cluster.clock.advance(3_001);
      const course = await third.stopper.during({ reply: at }, () =>
        third.services.acceptance.finishInterrupted(),
      );
      await recover();
      await hasJoined(acme, email);
      if (course.kind === 'ended') break;
      await course.wakeUp();
      await hasJoined(acme, email);
    }
  }
});

test('an invitation whose instance dies before it has sent the mail is there to be sent again, or not at all', async () => {
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const acme = await signUpAndIn(second);
    const email = somebodyNew();
    const request = { email, role: 'viewer' };
    const course = await first.stopper.during({ reply }, () => invite(first, acme.auth, request));
    const { data } = expectStatus(await invitationsOf(second, acme.auth), 200).json();
    for (const { id } of data) expectStatus(await resend(second, acme.auth, id), 200);
    if (data.length === 0) expectStatus(await invite(second, acme.auth, request), 201);
    const body = { token: tokenIn(mails.to(email)), password: SOME_PASSWORD };
    expectStatus(await accept(second, body), 200);
    if (course.kind === 'ended') break;
  }
});

test('an answer of the database that gets lost changes nothing of the outcome', async () => {
  const WRITES = ['updateOne', 'findOneAndUpdate', 'deleteOne', 'deleteMany'];
  for (let lost = 1; ; lost += 1) {
    await cluster.empty();
    let writes = 0;
    const losing = await cluster.instance({
      mailer: mails,
      clientView: (client) =>
        interceptCalls(client, async (call, method) => {
          const reply = await call();
          if (!WRITES.includes(method)) return reply;
          writes += 1;
          if (writes === lost) throw new MongoNetworkError('connection closed');
          return reply;
        }),
    });
    const acme = await signUpAndIn(second);
    const email = somebodyNew();
    const invited = await invite(losing, acme.auth, { email, role: 'viewer' });
    const { id } = expectStatus(invited, 201).json();
    expectStatus(await resend(losing, acme.auth, id), 200);
    const body = { token: tokenIn(mails.to(email)), password: SOME_PASSWORD };
    expectStatus(await accept(losing, body), 200);
    expect(await hasJoined(acme, email)).toBe(true);
    expect(await cluster.db.collection('memberships').countDocuments()).toBe(2);
    if (writes < lost) {
      expect(lost).toBeGreaterThan(8);
      break;
    }
  }
});
