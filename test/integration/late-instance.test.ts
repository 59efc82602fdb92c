import { beforeAll, expect, test, vi } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { gist, withoutSessions } from '../support/gist.ts';
import {
  type Attempt,
  createWithNewAccount,
  deletion,
  type Scenario,
  updateOfEverything,
} from '../support/lifecycle-scenarios.ts';
import { expectStatus, someSignUp } from '../support/test-service.ts';

// A test goes through every instant of an operation.
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

/** What happens between the recovery of an operation and the moment when the instance that began it goes on. */
interface Meanwhile {
  scenario: Scenario;
  title: string;
  happens: (attempt: Attempt) => Promise<unknown>;
}

const create = async (payload: object) =>
  expectStatus(await other.app.inject({ method: 'POST', url: '/org/create', payload }), 201);
const signIn = async (payload: object) =>
  expectStatus(await other.app.inject({ method: 'POST', url: '/admin/login', payload }), 200);
const update = async ({ auth: headers }: Attempt, payload: object) =>
  expectStatus(
    await other.app.inject({ method: 'PUT', url: '/org/update', headers, payload }),
    200,
  );
const remove = async ({ auth: headers }: Attempt) =>
  expectStatus(await other.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);

const MEANWHILE: readonly Meanwhile[] = [
  {
    scenario: createWithNewAccount,
    title: 'the same person signs up again',
    happens: async ({ signUp }) => {
      await create(signUp);
      await signIn(signUp);
    },
  },
  {
    scenario: createWithNewAccount,
    title: 'somebody else takes the name',
    happens: ({ signUp }) => create({ ...signUp, email: someSignUp().email }),
  },
  {
    scenario: updateOfEverything,
    title: 'the owner signs in',
    happens: ({ signUp }) => signIn(signUp),
  },
  {
    scenario: updateOfEverything,
    title: 'everything is changed again, and the first name taken',
    happens: async (attempt) => {
      const { organization_name, email } = someSignUp();
      await update(attempt, { organization_name, email, password: 'yet another one' });
      await create(someSignUp({ organization_name: attempt.was.organization_name }));
    },
  },
  {
    scenario: updateOfEverything,
    title: 'everything is changed back',
    happens: (attempt) => update(attempt, attempt.was),
  },
  {
    scenario: updateOfEverything,
    title: 'the organization is deleted, and both names taken',
    happens: async (attempt) => {
      await remove(attempt);
      await create(attempt.was);
      await create(someSignUp({ organization_name: attempt.names.held }));
    },
  },
  {
    scenario: deletion,
    title: 'the same person signs up again',
    happens: async ({ signUp }) => {
      await create(signUp);
      await signIn(signUp);
    },
  },
];

/** How many calls a kind of operation makes before it begins, as found out by the first test of the kind. */
const callsBefore = new Map<Scenario, number>();

test.for(MEANWHILE)(
  'an instance that wakes up too late has no effect: $scenario.name; meanwhile $title',
  async ({ scenario, happens }) => {
    let seen = 0;
    let signedOut = 0;
    let moved = 0;
    for (let reply = (callsBefore.get(scenario) ?? 0) + 1; ; reply += 1) {
      await cluster.empty();
      const attempt = await scenario.prepare(other);
      const course = await paused.stopper.during({ reply }, () => attempt.act(paused));
      if (course.kind === 'ended') break;
      await cluster.expireLeases();
      const recovered = await other.services.recovery.recoverExpired();
      // Before it has begun there is nothing to recover, and after its end nothing more to do.
      if (recovered === 0 && seen > 0) break;
      if (recovered === 0) continue;
      if (seen === 0) callsBefore.set(scenario, reply - 1);
      seen += 1;

      await happens(attempt);
      const settled = await gist(cluster.db);
      const answer = await course.wakeUp();
      // Whoever is told that it is done finds it done: recovery finishes updates and deletions.
      if (answer.statusCode >= 400) expect(answer.json().code).toBe('operation_interrupted');
      else expect(scenario.recovered).toBe('finished');
      if ((await contradictions(cluster.db)).length > 0) {
        expect(await other.services.reconciliation.run()).toMatchObject({ realigned: 1 });
        moved += 1;
      }
      const after = await gist(cluster.db);
      expect(withoutSessions(after)).toEqual(withoutSessions(settled));
      if (after.sessions?.length !== settled.sessions?.length) signedOut += 1;
      expect(await contradictions(cluster.db)).toEqual([]);
    }
    expect(seen).toBeGreaterThan(5);
    // Paused between looking at its lease and renaming, it may move the collection once more.
    expect(moved).toBeLessThanOrEqual(scenario.kind === 'update' ? 1 : 0);
    // Paused between looking at its lease and ending the sessions that the old password started, it ends later ones too.
    expect(signedOut).toBeLessThanOrEqual(scenario.kind === 'update' ? 1 : 0);
  },
);
