import { MongoNetworkError } from 'mongodb';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { expectProblem } from '../support/api.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { type AroundCall, interceptCalls } from '../support/intercepted-client.ts';
import { observe, type Request } from '../support/lifecycle-model.ts';
import {
  type Attempt,
  createWithNewAccount,
  deletion,
  type Scenario,
  updateOfEverything,
} from '../support/lifecycle-scenarios.ts';
import { ModelClient } from '../support/model-client.ts';

// A test goes through every instant of an operation.
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
  ...['updateOne', 'updateMany', 'findOneAndUpdate', 'deleteOne', 'deleteMany', 'command'],
]);

/** An instance that gets no answer to its n-th write, counted from 1, although the write takes place. */
class Losing {
  write = Number.POSITIVE_INFINITY;
  /** How many writes it has made. */
  made = 0;
  /** Whether nothing answers from then on: the database hangs, instead of having a new primary. */
  lasting = false;
  #silent = false;

  get lost(): boolean {
    return this.write <= 0;
  }

  /** The database answers again. */
  heal(): void {
    this.#silent = false;
  }

  readonly around: AroundCall = async (call, method) => {
    if (this.#silent) throw timedOut();
    const reply = await call();
    if (!WRITES.has(method)) return reply;
    this.made += 1;
    this.write -= 1;
    if (this.write !== 0) return reply;
    this.#silent = this.lasting;
    throw this.lasting ? timedOut() : new MongoNetworkError('connection 1 to 127.0.0.1 closed');
  };
}

/** The reason with which an `AbortSignal.timeout` ends an operation. */
function timedOut(): DOMException {
  return new DOMException('The operation was aborted due to timeout', 'TimeoutError');
}

function losingInstance(losing: Losing): Promise<Instance> {
  return cluster.instance({ clientView: (client) => interceptCalls(client, losing.around) });
}

/** How many writes it makes at least, and what {@link lookOf} is when it is done and when it is not. */
const CASES: readonly { scenario: Scenario; atLeast: number; done: Look; absent: Look }[] = [
  {
    scenario: createWithNewAccount,
    atLeast: 8,
    done: { held: 200, freed: 0, signUp: 200, was: 200 },
    absent: { held: 404, freed: 0, signUp: 401, was: 401 },
  },
  {
    scenario: updateOfEverything,
    atLeast: 5,
    done: { held: 200, freed: 404, signUp: 200, was: 401 },
    absent: { held: 404, freed: 200, signUp: 401, was: 200 },
  },
  {
    scenario: deletion,
    atLeast: 10,
    done: { held: 200, freed: 404, signUp: 404, was: 404 },
    absent: { held: 200, freed: 200, signUp: 200, was: 200 },
  },
];

describe.for(CASES)('$scenario.name', ({ scenario, atLeast, done, absent }) => {
  test('succeeds although the connection breaks after any one of its writes', async () => {
    const losing = new Losing();
    const instance = await losingInstance(losing);
    for (let write = 1; ; write += 1) {
      await cluster.empty();
      // Past the time for which a count of collections is good.
      cluster.clock.advance(2_000);
      const attempt = await scenario.prepare(other);
      losing.write = write;
      const answer = await attempt.act(instance);
      expect(`write ${write}: ${answer.statusCode} ${answer.body}`).toMatch(/: 20[01] /);
      expect(await contradictions(cluster.db)).toEqual([]);
      await attempt.assertDone();
      if (losing.lost) continue;
      expect(write).toBeGreaterThan(atLeast);
      break;
    }
  });

  test('is wholly there or wholly absent if the database falls silent after any one of its writes', async () => {
    const writes = await writesOf(scenario);
    // All at once, because each of them waits for as long as a request is willing to.
    const attempts = await Promise.all(
      Array.from({ length: writes }, async (_, at) => {
        const losing = new Losing();
        const instance = await losingInstance(losing);
        const attempt = await scenario.prepare(other);
        losing.lasting = true;
        losing.write = at + 1;
        return { attempt, losing, answer: await attempt.act(instance) };
      }),
    );
    for (const { answer } of attempts) expectProblem(answer, 503, 'database_unavailable');
    await cluster.expireLeases();
    await other.services.recovery.recoverExpired();
    expect(await contradictions(cluster.db)).toEqual([]);
    const looks = await Promise.all(attempts.map(({ attempt }) => lookOf(attempt)));
    for (const look of looks) expect([done, absent]).toContainEqual(look);
    // The last write is the commit, or comes after it.
    expect(looks.at(-1)).toEqual(done);
    // So that nothing waits for it at the end.
    for (const { losing } of attempts) losing.heal();
  });
});

test('a creation whose commit is not answered is not undone by whoever began it', async () => {
  let changes = 0;
  const around: AroundCall = async (call, method) => {
    const reply = await call();
    if (method === 'findOneAndUpdate') changes += 1;
    // The first change of the registry's document records the collection, the second is the commit.
    if (method === 'findOneAndUpdate' && changes > 1) throw timedOut();
    return reply;
  };
  const client = new ModelClient(cluster.db);
  const request: Request = { kind: 'create', owner: 'ada@acme.example', name: 'Acme Inc' };
  expect(await client.send(cluster.bare(around), request)).toBe('database_unavailable');
  await cluster.expireLeases();
  await other.services.recovery.recoverExpired();
  expect(await observe(cluster.db)).toMatchObject([{ owner: request.owner, name: request.name }]);
  expect(await contradictions(cluster.db)).toEqual([]);
});

test('a creation that was undone before its last write takes place leaves nothing of that either', async () => {
  let writes = 0;
  const around: AroundCall = async (call, method) => {
    if (method !== 'updateOne') return call();
    writes += 1;
    // The first reserves the name, the second inserts the account, the rest repeat it.
    if (writes === 1) return call();
    if (writes === 2) {
      await cluster.expireLeases();
      expect(await other.services.recovery.recoverExpired()).toBe(1);
      await call();
    }
    throw timedOut();
  };
  const client = new ModelClient(cluster.db);
  const request: Request = { kind: 'create', owner: 'ada@acme.example', name: 'Acme Inc' };
  expect(await client.send(cluster.bare(around), request)).toBe('database_unavailable');
  // It looks after it when it has answered.
  await vi.waitFor(async () => expect(await contradictions(cluster.db)).toEqual([]), 20_000);
  expect(await cluster.db.collection('admins').countDocuments()).toBe(0);
});

/** A deletion makes one for every collection that may hold what belongs to the organization. */
async function writesOf(scenario: Scenario): Promise<number> {
  const losing = new Losing();
  const instance = await losingInstance(losing);
  const attempt = await scenario.prepare(other);
  const before = losing.made;
  await attempt.act(instance);
  return losing.made - before;
}

/** Statuses: of looking its names up, and of signing in with the credentials of then and of now. */
type Look = Record<'held' | 'freed' | 'signUp' | 'was', number>;

async function lookOf({ signUp, was, names }: Attempt): Promise<Look> {
  const { app } = other;
  const find = async (organization_name: string) =>
    (await app.inject({ url: '/org/get', query: { organization_name } })).statusCode;
  const login = async (payload: object) =>
    (await app.inject({ method: 'POST', url: '/admin/login', payload })).statusCode;
  return {
    held: await find(names.held),
    freed: names.freed === undefined ? 0 : await find(names.freed),
    signUp: await login(signUp),
    was: await login(was),
  };
}
