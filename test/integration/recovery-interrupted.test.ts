import { beforeAll, expect, test, vi } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import type { Instant } from '../support/crash.ts';
import { contradictions } from '../support/database-truth.ts';
import { gist, withoutSessions } from '../support/gist.ts';
import {
  type Attempt,
  createWithNewAccount,
  deletion,
  type Scenario,
  stopAt,
  updateOfEverything,
} from '../support/lifecycle-scenarios.ts';

// A test goes through every instant of an operation.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let first: Instance;
let second: Instance;
let third: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  first = await cluster.instance();
  second = await cluster.instance();
  third = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

interface Interrupted {
  title: string;
  scenario: Scenario;
  /** Where the operation itself was left: where there is most to recover. */
  instant: Instant;
  /** What happened before the recovery. */
  happens?: (attempt: Attempt) => Promise<unknown>;
  undone: boolean;
}

const CASES: readonly Interrupted[] = [
  {
    title: 'the undoing of a creation',
    scenario: createWithNewAccount,
    instant: { point: 'create:membership-counted' },
    undone: true,
  },
  {
    title: 'the finishing of an update',
    scenario: updateOfEverything,
    instant: { point: 'update:reserved' },
    undone: false,
  },
  {
    title: 'the undoing of an update that became impossible',
    scenario: updateOfEverything,
    instant: { point: 'update:credentials-changed' },
    happens: ({ target }) => cluster.db.createCollection(target),
    undone: true,
  },
  {
    title: 'the finishing of a deletion',
    scenario: deletion,
    instant: { point: 'delete:marked' },
    undone: false,
  },
];

/**
 * The second instance is stopped after every call of its recovery in turn, the third one recovers, and then the second one
 * goes on as if nothing had happened.
 */
test.for(CASES)(
  '$title may be interrupted at any call',
  async ({ scenario, instant, happens = async () => {}, undone }) => {
    for (let reply = 1; ; reply += 1) {
      await cluster.empty();
      const attempt = await scenario.prepare(third);
      await stopAt(first, instant, attempt);
      await happens(attempt);
      const foreign = undone && scenario.kind === 'update' ? { [attempt.target]: [] } : {};
      await cluster.expireLeases();
      const course = await second.stopper.during({ reply }, () =>
        second.services.recovery.recoverExpired(),
      );
      await cluster.expireLeases();
      await third.services.recovery.recoverExpired();
      expect(await third.services.recovery.operations()).toEqual([]);
      if (undone) {
        expect(await gist(cluster.db)).toEqual({ ...attempt.before, ...foreign });
      } else await attempt.assertDone();

      if (course.kind === 'ended') break;
      const settled = await gist(cluster.db);
      await course.wakeUp();
      expect(withoutSessions(await gist(cluster.db))).toEqual(withoutSessions(settled));
    }
  },
);

/**
 * The second instance is stopped after every call of its recovery in turn, and the first one, which began the operation,
 * goes on as if nothing had happened; then the second one does.
 */
test.for(CASES)(
  'the instance that began it has no part in $title',
  async ({ scenario, instant, happens = async () => {}, undone }) => {
    for (let reply = 1; ; reply += 1) {
      await cluster.empty();
      const attempt = await scenario.prepare(third);
      const wakeUp = await stopAt(first, instant, attempt);
      await happens(attempt);
      const foreign = undone && scenario.kind === 'update' ? { [attempt.target]: [] } : {};
      await cluster.expireLeases();
      const course = await second.stopper.during({ reply }, () =>
        second.services.recovery.recoverExpired(),
      );
      const answer = await wakeUp();
      // Whoever is told that it is done finds it done there and then.
      if (answer.statusCode < 400) await attempt.assertDone();
      if (course.kind === 'stopped') await course.wakeUp();
      expect(await third.services.recovery.operations()).toEqual([]);
      if (answer.statusCode >= 400) expect(answer.json().code).toBe('operation_interrupted');
      else expect(undone).toBe(false);
      if (undone) expect(await gist(cluster.db)).toEqual({ ...attempt.before, ...foreign });
      else {
        await attempt.assertDone();
        expect(await contradictions(cluster.db)).toEqual([]);
      }
      if (course.kind === 'ended') break;
    }
  },
);
