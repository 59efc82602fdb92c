import { ObjectId } from 'mongodb';
import { beforeAll, expect, test, vi } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import { accept, anInvitation, somebodyNew } from '../support/invitations.ts';
import { RecordingMailer } from '../support/recording-mailer.ts';
import { signUpAndIn } from '../support/test-service.ts';

// A test goes through every instant of an acceptance.
vi.setConfig({ testTimeout: 120_000 });

const mails = new RecordingMailer();
let cluster: Cluster;
let first: Instance;
let second: Instance;
beforeAll(async () => {
  cluster = await Cluster.create();
  first = await cluster.instance({ mailer: mails });
  second = await cluster.instance({ mailer: mails });
  return () => cluster[Symbol.asyncDispose]();
});

async function membershipOf(organizationId: string, email: string) {
  const admin = await cluster.db.collection('admins').findOne({ email });
  const key = { organization_id: new ObjectId(organizationId), admin_id: admin?._id };
  return cluster.db.collection('memberships').findOne(key);
}

/**
 * Somebody was invited under the address they had and under the one they have now. The instance that accepts the one
 * invitation dies at every call in turn; another accepts the other, before recovery and after it.
 */
test('of two invitations of one person, neither is used up without making a member', async () => {
  const joined = new Set<string>();
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const [acme, bob] = [await signUpAndIn(second), await signUpAndIn(second)];
    const [before, now] = [bob.signUp.email, somebodyNew()];
    const old = await anInvitation({ ...second, mails }, acme, { email: before });
    const { token } = await anInvitation({ ...second, mails }, acme, { email: now });
    const course = await first.stopper.during({ reply }, () =>
      accept(first, { token: old.token }, bob.auth),
    );
    const admins = cluster.db.collection('admins');
    await admins.updateOne({ email: before }, { $set: { email: now } });
    const answer = await accept(second, { token }, bob.auth);
    cluster.clock.advance(5_000);
    await second.services.memberChanges.finishInterrupted();
    await second.services.acceptance.finishInterrupted();
    const again = await accept(second, { token }, bob.auth);
    if (answer.statusCode === 200 || again.statusCode === 404) {
      const membership = await membershipOf(acme.organization.id, now);
      expect(membership, `reply ${reply}`).toMatchObject({ role: 'viewer' });
      expect(membership).not.toHaveProperty('pending');
    }
    joined.add(`${answer.statusCode} ${again.statusCode}`);
    if (course.kind === 'ended') break;
  }
  expect(joined.size).toBeGreaterThan(1);
});
