import { beforeAll, expect, test, vi } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import { aMember } from '../support/members.ts';
import { expectStatus, signUpAndIn } from '../support/test-service.ts';

// A test goes through every instant of a deletion.
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

/** An instance is paused so long that others take its deletion for interrupted, and give the role away. */
test('a role is not deleted from under somebody it was given to', async () => {
  const outcomes = new Set<string>();
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const acme = await signUpAndIn(other);
    const { auth: headers } = acme;
    const { id } = await aMember(other, acme, 'viewer');
    const role = { name: 'helper', permissions: ['org:read', 'member:read'] };
    const create = { method: 'POST', url: '/org/roles', headers, payload: role } as const;
    expectStatus(await other.app.inject(create), 201);
    const course = await paused.stopper.during({ reply }, () =>
      paused.app.inject({ method: 'DELETE', url: '/org/roles/helper', headers }),
    );
    cluster.clock.advance(11_000);
    const payload = { role: 'helper' };
    const give = { method: 'PATCH', url: `/org/members/${id}`, headers, payload } as const;
    const given = await other.app.inject(give);
    const deleted = course.kind === 'stopped' ? await course.wakeUp() : course.result;
    const outcome = `given ${given.statusCode}, deleted ${deleted.statusCode}`;
    expect(outcome, `reply ${reply}`).not.toBe('given 200, deleted 204');
    outcomes.add(outcome);
    if (course.kind === 'ended') break;
  }
  expect(outcomes.size).toBeGreaterThan(1);
});
