import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FAULT_POINTS } from '../../src/tenants/lifecycle/fault-points.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { gist } from '../support/gist.ts';
import {
  type Attempt,
  createWithNewAccount,
  deletion,
  type Scenario,
  stopAt,
  updateOfEverything,
} from '../support/lifecycle-scenarios.ts';
import { expectStatus } from '../support/test-service.ts';

/** A busy machine may take its time; what is waited for happens at once on an idle one. */
const PATIENCE = { timeout: 20_000 };

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

beforeEach(async () => {
  await cluster.empty();
  for (const { logged } of [first, second, third]) logged.length = 0;
});

const SCENARIOS: readonly Scenario[] = [createWithNewAccount, updateOfEverything, deletion];
const CASES = SCENARIOS.flatMap((scenario) =>
  scenario.instants.map((instant) => ({
    scenario,
    instant,
    title: `${scenario.name}, crashed at ${instant.point}${instant.visit === 2 ? ' again' : ''}`,
    // The last step commits or removes: after it there is nothing left to end.
    committed: instant.point === scenario.instants.at(-1)?.point,
  })),
);

test('the scenarios come by every fault point', () => {
  const points = CASES.map(({ instant }) => instant.point);
  expect([...new Set(points)]).toEqual([...FAULT_POINTS]);
});

describe('a crash leaves nothing half done', () => {
  test.for(CASES)('$title', async ({ scenario, instant, committed }) => {
    const attempt = await scenario.prepare(second);
    await stopAt(first, instant, attempt);

    await cluster.prolongLeases();
    const left = await cluster.contents();
    expect(await second.services.recovery.recoverExpired(), 'while the lease runs').toBe(0);
    expect(await cluster.contents()).toEqual(left);

    await cluster.expireLeases();
    expect(await second.services.recovery.recoverExpired()).toBe(committed ? 0 : 1);
    expect(await contradictions(cluster.db)).toEqual([]);
    if (scenario.recovered === 'undone' && !committed)
      expect(await gist(cluster.db)).toEqual(attempt.before);
    else await attempt.assertDone();
    expect(await second.services.recovery.operations()).toEqual([]);
    expect(second.logged.map(({ msg }) => msg)).toEqual(
      committed ? [] : [`recovered an interrupted ${scenario.kind}: ${scenario.recovered}`],
    );

    const undone = scenario.recovered === 'undone' && !committed;
    const { held, freed } = attempt.names;
    if (freed !== undefined) expectStatus(await createAgain(attempt, freed), 201);
    expectStatus(await createAgain(attempt, held), undone ? 201 : 409);
    expect(await contradictions(cluster.db)).toEqual([]);
  });
});

function createAgain({ signUp }: Attempt, organization_name: string) {
  const payload = { ...signUp, organization_name };
  return third.app.inject({ method: 'POST', url: '/org/create', payload });
}

/** Crashes one operation of every kind, at its first fault point; each on an instance of its own. */
async function crashOneOfEach(): Promise<void> {
  for (const scenario of SCENARIOS) {
    const instance = await cluster.instance();
    const [instant] = scenario.instants;
    if (instant !== undefined) await stopAt(instance, instant, await scenario.prepare(third));
  }
}

const OUTCOMES = [
  'recovered an interrupted create: undone',
  'recovered an interrupted delete: finished',
  'recovered an interrupted update: finished',
];

describe('several instances', () => {
  test('that recover at the same time end each operation once', async () => {
    await crashOneOfEach();
    await crashOneOfEach();
    await cluster.expireLeases();
    const ended = await Promise.all(
      [first, second, third].map(({ services }) => services.recovery.recoverExpired()),
    );
    expect(ended.reduce((sum, n) => sum + n)).toBe(6);
    const logged = [first, second, third].flatMap((one) => one.logged.map(({ msg }) => msg));
    expect(logged.sort()).toEqual(OUTCOMES.flatMap((outcome) => [outcome, outcome]));
    expect(await contradictions(cluster.db)).toEqual([]);
  });

  test('see what is under way: the one without a renewal for longest first', async () => {
    const { recovery } = second.services;
    await crashOneOfEach();
    const operations = await recovery.operations();
    expect(operations.map(({ kind }) => kind)).toEqual(['create', 'update', 'delete']);
    for (const { owner, organization_id, organization_name, started_at, attempts } of operations) {
      const found = await cluster.db.collection('organizations').findOne({ organization_name });
      expect(found?._id.toHexString()).toBe(organization_id);
      expect(found?.operation).toMatchObject({ owner, started_at });
      expect(attempts).toBe(1);
    }
    expect(new Set(operations.map(({ owner }) => owner)).size).toBe(3);
    const longest = await recovery.operations(1);
    expect(longest.map(({ kind }) => kind)).toEqual(['create']);
  });
});

describe('an operation under way is', () => {
  const organizations = () => cluster.db.collection('organizations');
  const secondsAgo = (seconds: number) => [
    { $set: { 'operation.started_at': { $subtract: ['$$NOW', seconds * 1_000] } } },
  ];
  const status = async () => (await second.services.recovery.operations())[0];

  beforeEach(async () => {
    const attempt = await deletion.prepare(second);
    await stopAt(first, { point: 'delete:marked' }, attempt);
  });

  test('as old as the database’s clock says, whatever this instance’s does', async () => {
    const before = await status();
    expect(before?.age_seconds).toBeGreaterThanOrEqual(0);
    expect(before?.age_seconds).toBeLessThan(30);
    await organizations().updateOne({ state: 'deleting' }, secondsAgo(40));
    cluster.clock.advance(3_600_000);
    const after = await status();
    expect(after?.age_seconds).toBeGreaterThanOrEqual(40);
    expect(after?.age_seconds).toBeLessThan(70);
  });

  test('stuck when it is old', async () => {
    await organizations().updateOne({ state: 'deleting' }, secondsAgo(30));
    expect(await status()).toMatchObject({ attempts: 1, stuck: false });
    await organizations().updateOne({ state: 'deleting' }, secondsAgo(61));
    expect(await status()).toMatchObject({ attempts: 1, stuck: true });
  });

  test('stuck when it was taken up again and again', async () => {
    const failing = await cluster.instance({
      faults: async () => {
        throw new Error('a bug');
      },
    });
    for (const attempts of [2, 3, 4]) {
      await cluster.expireLeases();
      expect(await failing.services.recovery.recoverExpired()).toBe(0);
      expect(await status()).toMatchObject({ kind: 'delete', attempts, stuck: attempts > 3 });
    }
    await cluster.expireLeases();
    expect(await second.services.recovery.recoverExpired()).toBe(1);
    expect(await status()).toBeUndefined();
  });
});

describe('a lease', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is renewed for as long as its operation runs', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const attempt = await deletion.prepare(second);
    const waiting = Promise.withResolvers<void>();
    const slow = await cluster.instance({ faults: () => waiting.promise });
    const running = attempt.act(slow);
    await vi.waitFor(
      async () => expect(await second.services.recovery.operations()).toHaveLength(1),
      PATIENCE,
    );
    await cluster.expireLeases();
    await vi.advanceTimersByTimeAsync(1_000);
    await vi.waitFor(async () => {
      const [one] = await cluster.db
        .collection('organizations')
        .find({ operation: { $exists: true } })
        .toArray();
      expect(one?.operation.lease_expires_at.getTime()).toBeGreaterThan(0);
    }, PATIENCE);
    expect(await second.services.recovery.recoverExpired()).toBe(0);
    waiting.resolve();
    expectStatus(await running, 200);
    expect(vi.getTimerCount()).toBe(0);
  });
});
