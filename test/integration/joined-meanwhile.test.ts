import { beforeAll, expect, test, vi } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { expectStatus, signUpAndIn, someSignUp } from '../support/test-service.ts';

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

test('whoever gets another organization while their last one is deleted keeps an account', async () => {
  let reply = 0;
  for (;;) {
    reply += 1;
    await cluster.empty();
    const { signUp, auth: headers } = await signUpAndIn(other);
    const { email, password } = signUp;
    const course = await paused.stopper.during({ reply }, () =>
      paused.app.inject({ method: 'DELETE', url: '/org/delete', headers }),
    );
    await cluster.prolongLeases();
    const payload = someSignUp({ email, password });
    const create = { method: 'POST', url: '/org/create', payload } as const;
    expectStatus(await other.app.inject(create), 201);
    if (course.kind === 'ended') break;
    expectStatus(await course.wakeUp(), 200);
    expect(await contradictions(cluster.db)).toEqual([]);
    const login = { method: 'POST', url: '/admin/login', payload } as const;
    expectStatus(await other.app.inject(login), 200);
  }
  expect(reply).toBeGreaterThan(10);
});
