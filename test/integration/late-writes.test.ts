import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { expectProblem } from '../support/api.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { type AroundCall, interceptCalls } from '../support/intercepted-client.ts';
import {
  type Attempt,
  createWithExistingAccount,
  createWithNewAccount,
  deletion,
  type Scenario,
  updateOfEverything,
} from '../support/lifecycle-scenarios.ts';

// A test goes through every write of an operation, each of which waits for as long as a request is willing to.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let other: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  other = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

beforeEach(async () => {
  // No lease is renewed in between: writes are counted.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  await cluster.empty();
});

afterEach(() => {
  vi.useRealTimers();
});

const WRITES = new Set([
  ...['updateOne', 'updateMany', 'findOneAndUpdate', 'deleteOne', 'deleteMany'],
  ...['command', 'createCollection'],
]);

/**
 * An instance whose database hangs when it is sent the n-th write, counted from 1: the write waits in the database's
 * socket, with nobody left to hear the answer, and is carried out when the database goes on.
 */
class Hanging {
  write = Number.POSITIVE_INFINITY;
  made = 0;
  #late: (() => Promise<unknown>) | undefined;
  #hangs = false;

  readonly around: AroundCall = async (call, method, callLate) => {
    if (!this.#hangs) {
      if (!WRITES.has(method)) return call();
      this.made += 1;
      if (this.made !== this.write) return call();
      this.#hangs = true;
      this.#late = callLate;
    }
    throw new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  };

  /** What became of the write: nothing hears of its outcome. */
  async goOn(): Promise<void> {
    await Promise.allSettled([this.#late?.()]);
  }

  /** So that the instance can be closed. */
  heal(): void {
    this.#hangs = false;
  }
}

test.for([createWithNewAccount, createWithExistingAccount, updateOfEverything, deletion])(
  'a write that takes place after recovery leaves nothing behind: $name',
  async (scenario) => {
    const writes = await writesOf(scenario);
    const prepared: { hanging: Hanging; act: () => ReturnType<Attempt['act']> }[] = [];
    // One after the other: on a slow machine all at once would wait for the database for longer than a request may.
    for (let write = 1; write <= writes; write += 1) {
      const hanging = new Hanging();
      const instance = await hangingInstance(hanging);
      const attempt = await scenario.prepare(other);
      hanging.write = hanging.made + write;
      prepared.push({ hanging, act: () => attempt.act(instance) });
    }
    const attempts = await Promise.all(
      prepared.map(async ({ hanging, act }) => ({ hanging, answer: await act() })),
    );
    for (const { answer } of attempts) expectProblem(answer, 503, 'database_unavailable');
    await cluster.expireLeases();
    await other.services.recovery.recoverExpired();
    for (const { hanging } of attempts) await hanging.goOn();
    cluster.clock.advance(600);
    await other.services.recovery.removeLateTraces();
    // The first write of all may have begun an operation only now.
    await cluster.expireLeases();
    await other.services.recovery.recoverExpired();
    const left = await contradictions(cluster.db);
    for (const { hanging } of attempts) hanging.heal();
    expect(left).toEqual([]);
  },
);

function hangingInstance(hanging: Hanging): Promise<Instance> {
  return cluster.instance({ clientView: (client) => interceptCalls(client, hanging.around) });
}

async function writesOf(scenario: Scenario): Promise<number> {
  const hanging = new Hanging();
  const instance = await hangingInstance(hanging);
  const attempt = await scenario.prepare(other);
  const before = hanging.made;
  await attempt.act(instance);
  return hanging.made - before;
}
