import fc, { type Scheduler } from 'fast-check';
import { MongoServerError } from 'mongodb';
import { beforeAll, expect, test, vi } from 'vitest';
import { type BareInstance, Cluster } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import type { AroundCall } from '../support/intercepted-client.ts';
import { Interleaving } from '../support/interleaving.ts';
import {
  FIRST_PASSWORD,
  type Model,
  type Observation,
  observe,
  perform,
  type Request,
} from '../support/lifecycle-model.ts';
import { type Exchange, explains } from '../support/linearizability.ts';
import { ModelClient } from '../support/model-client.ts';

// Whoever finds an organization busy looks again when it is their turn, without waiting for it.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async () => {},
}));

/** `MODEL_RUNS` for more than CI takes the time for; `MODEL_SEED` for others than the ones CI repeats. */
const { MODEL_RUNS = '60', MODEL_SEED = '2039' } = process.env;

let cluster: Cluster;
/** Runs by itself, for what comes before and after. */
let direct: BareInstance;

beforeAll(async () => {
  cluster = await Cluster.create();
  direct = cluster.bare();
  return () => cluster[Symbol.asyncDispose]();
});

const FIRST: readonly Request[] = [
  { kind: 'create', owner: 'ada@acme.example', name: 'Acme Inc' },
  { kind: 'create', owner: 'bob@globex.example', name: 'Globex' },
];

const PASSWORDS = [FIRST_PASSWORD, 'a new password', 'another password'];

const aName = fc.constantFrom('Acme Inc', 'ACME INC', 'Acme-Inc', 'Аcme Inc', 'Globex', 'Initech');
const anOwner = fc.constantFrom(...FIRST.map(({ owner }) => owner));
const aRename = { kind: fc.constant('rename' as const), owner: anOwner, name: aName };
const aRequest: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), owner: fc.emailAddress(), name: aName }),
  fc.record(aRename),
  fc.record({ ...aRename, password: fc.constantFrom(...PASSWORDS) }),
  fc.record({ kind: fc.constant('delete' as const), owner: anOwner }),
  fc.record({ kind: fc.constant('insert' as const), owner: anOwner, document: fc.uuid() }),
);

/** Two organizations, and nothing else. */
async function begin(client: ModelClient): Promise<Model> {
  await cluster.empty();
  let model: Model = new Map();
  for (const request of FIRST) {
    expect(await client.send(direct, request)).toBe('ok');
    model = perform(model, request).model;
  }
  return model;
}

/** Each request on an instance of its own, and as many that take over whatever is under way at the time. */
async function sideBySide(
  scheduler: Scheduler,
  client: ModelClient,
  requests: readonly Request[],
  recoveries: number,
): Promise<Exchange[]> {
  const { around, run } = new Interleaving(scheduler);
  const exchanges: Exchange[] = [];
  const strands: Record<string, () => Promise<unknown>> = {};
  for (const [at, request] of requests.entries()) {
    const instance = cluster.bare(around);
    strands[`${at} ${request.kind}`] = async () =>
      exchanges.push({ request, answer: await client.send(instance, request) });
  }
  for (let at = 0; at < recoveries; at += 1) {
    const { recovery } = cluster.bare(around).services;
    strands[`recovery ${at}`] = async () => {
      await cluster.expireLeases();
      await recovery.recoverExpired();
    };
  }
  await run(strands);
  return exchanges;
}

/** What there is once recovery and reconciliation have done their part, and with which passwords. */
async function end(client: ModelClient): Promise<Observation[]> {
  await cluster.expireLeases();
  await direct.services.recovery.recoverExpired();
  await direct.services.reconciliation.run();
  expect(await contradictions(cluster.db)).toEqual([]);
  return Promise.all(
    (await observe(cluster.db)).map(async (one) => {
      const tries = PASSWORDS.map((password) => client.signIn(direct, one.owner, password));
      const password = PASSWORDS[(await Promise.all(tries)).indexOf('ok')];
      return { ...one, password };
    }),
  );
}

test('requests side by side do what they would do in some order', {
  timeout: 600_000,
}, async () => {
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(aRequest, { minLength: 2, maxLength: 3 }),
    fc.nat(2),
    async (scheduler, requests, recoveries) => {
      const client = new ModelClient(cluster.db);
      const model = await begin(client);
      const exchanges = await sideBySide(scheduler, client, requests, recoveries);
      const observed = await end(client);
      if (explains(model, exchanges, observed)) return;
      const seen = `${JSON.stringify(exchanges)} and then ${JSON.stringify(observed)}`;
      throw new Error(`no order explains ${seen}`);
    },
  );
  await fc.assert(property, { seed: Number(MODEL_SEED), numRuns: Number(MODEL_RUNS) });
});

test.for([
  { kind: 'create', owner: 'eve@initech.example', name: 'Initech' },
  { kind: 'rename', owner: 'bob@globex.example', name: 'Initech' },
] as const)(
  'a name that is given up just after it was in the way can be had: $kind',
  async (request) => {
    await cluster.empty();
    const client = new ModelClient(cluster.db);
    const other = cluster.bare();
    for (const first of FIRST) expect(await client.send(other, first)).toBe('ok');
    const rival = { owner: 'mallory@initech.example', name: 'Initech' };
    const happened: string[] = [];
    const around: AroundCall = async (call) => {
      const [outcome] = await Promise.allSettled([call()]);
      if (happened.length === 0) {
        happened.push('taken');
        await client.send(direct, { kind: 'create', ...rival });
      }
      if (outcome.status === 'fulfilled') return outcome.value;
      if (outcome.reason instanceof MongoServerError && outcome.reason.code === 11000) {
        happened.push('refused');
        await client.send(direct, { kind: 'delete', ...rival });
      }
      throw outcome.reason;
    };
    expect(await client.send(cluster.bare(around), request)).toBe('ok');
    expect(happened).toEqual(['taken', 'refused']);
    expect(await contradictions(cluster.db)).toEqual([]);
  },
);
