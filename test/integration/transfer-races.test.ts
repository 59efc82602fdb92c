import { beforeAll, expect, test, vi } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import { adminIdOf, aMember } from '../support/members.ts';
import { expectStatus, signUpAndIn } from '../support/test-service.ts';

// A test goes through every instant of a transfer.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let paused: Instance;
let other: Instance;
beforeAll(async () => {
  cluster = await Cluster.create();
  paused = await cluster.instance();
  other = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

/** An instance is paused in the middle; meanwhile another owner makes the one who hands over an editor. */
test('a transfer that is refused has changed nothing', async () => {
  const statuses = new Set<number>();
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const acme = await signUpAndIn(other);
    const from = await adminIdOf(other, acme);
    const heir = await aMember(other, acme, 'viewer');
    const { auth: headers } = await aMember(other, acme, 'owner');
    const payload = { admin_id: heir.id };
    const transfer = { method: 'POST', url: '/org/transfer', headers: acme.auth, payload } as const;
    const course = await paused.stopper.during({ reply }, () => paused.app.inject(transfer));
    const url = `/org/members/${from}`;
    await other.app.inject({ method: 'PATCH', url, headers, payload: { role: 'editor' } });
    const answer = course.kind === 'ended' ? course.result : await course.wakeUp();
    const listed = await other.app.inject({ url: '/org/members', headers });
    const { data } = expectStatus(listed, 200).json<{ data: { id: string; role: string }[] }>();
    const { role } = data.find(({ id }) => id === heir.id) ?? {};
    expect(role, `reply ${reply}`).toBe(answer.statusCode < 400 ? 'owner' : 'viewer');
    statuses.add(answer.statusCode);
    if (course.kind === 'ended') break;
  }
  expect(statuses.size).toBeGreaterThan(1);
});
