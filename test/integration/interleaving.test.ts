import fc from 'fast-check';
import { beforeAll, expect, test, vi } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { Interleaving } from '../support/interleaving.ts';
import {
  type Answer,
  FIRST_PASSWORD,
  type Model,
  type Observation,
  observationOf,
  observe,
  perform,
  type Request,
} from '../support/lifecycle-model.ts';
import { ModelClient } from '../support/model-client.ts';

// Whoever finds an organization busy looks again when it is their turn, without waiting for it.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async () => {},
}));

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create();
  return () => cluster[Symbol.asyncDispose]();
});

const FIRST: readonly Request[] = [
  { kind: 'create', owner: 'ada@acme.example', name: 'Acme Inc' },
  { kind: 'create', owner: 'bob@globex.example', name: 'Globex' },
];

const PASSWORDS = [FIRST_PASSWORD, 'a new password', 'another password'];

const aName = fc.constantFrom('Acme Inc', 'ACME INC', 'Acme-Inc', 'Аcme Inc', 'Globex', 'Initech');
const anOwner = fc.constantFrom(...FIRST.map(({ owner }) => owner));
const aRequest = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), owner: fc.emailAddress(), name: aName }),
  fc.record({ kind: fc.constant('rename' as const), owner: anOwner, name: aName }),
  fc.record({
    ...{ kind: fc.constant('rename' as const), owner: anOwner, name: aName },
    password: fc.constantFrom(...PASSWORDS),
  }),
  fc.record({ kind: fc.constant('delete' as const), owner: anOwner }),
  fc.record({ kind: fc.constant('insert' as const), owner: anOwner, document: fc.uuid() }),
);

/** What was asked for, and what was answered. */
interface Exchange {
  request: Request;
  answer: Answer;
}

/** `MODEL_RUNS` for more than CI takes the time for; `MODEL_SEED` for others than the ones CI repeats. */
const { MODEL_RUNS = '60', MODEL_SEED = '2039' } = process.env;

test('requests side by side do what they would do in some order', {
  timeout: 600_000,
}, async () => {
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(aRequest, { minLength: 2, maxLength: 3 }),
    fc.nat(2),
    async (scheduler, requests, recoveries) => {
      await cluster.empty();
      const client = new ModelClient(cluster.db);
      const direct = cluster.bare();
      let model: Model = new Map();
      for (const request of FIRST) {
        expect(await client.send(direct, request)).toBe('ok');
        model = perform(model, request).model;
      }
      const interleaving = new Interleaving(scheduler);
      const exchanges: Exchange[] = [];
      const strands: Record<string, () => Promise<unknown>> = {};
      for (const [at, request] of requests.entries()) {
        const instance = cluster.bare(interleaving.around);
        strands[`${at} ${request.kind}`] = async () =>
          exchanges.push({ request, answer: await client.send(instance, request) });
      }
      for (let at = 0; at < recoveries; at += 1) {
        const { services } = cluster.bare(interleaving.around);
        strands[`recovery ${at}`] = async () => {
          await cluster.expireLeases();
          await services.recovery.recoverExpired();
        };
      }
      await interleaving.run(strands);
      await cluster.expireLeases();
      await direct.services.recovery.recoverExpired();
      await direct.services.reconciliation.run();
      expect(await contradictions(cluster.db)).toEqual([]);
      const observed = await Promise.all(
        (await observe(cluster.db)).map(async (one) => {
          const tried = await Promise.all(
            PASSWORDS.map((password) => client.signIn(direct, one.owner, password)),
          );
          return { ...one, password: PASSWORDS[tried.indexOf('ok')] };
        }),
      );
      if (!explains(model, exchanges, observed))
        throw new Error(
          `no order explains ${JSON.stringify(exchanges)} and ${JSON.stringify(observed)}`,
        );
    },
  );
  await fc.assert(property, { seed: Number(MODEL_SEED), numRuns: Number(MODEL_RUNS) });
});

/** Whether the requests, one after the other in some order, would have been answered so and led there. */
function explains(model: Model, left: readonly Exchange[], observed: readonly Observation[]) {
  if (left.length === 0) {
    const expected = observationOf(model).map((one) => ({
      ...one,
      password: model.get(one.owner)?.password,
    }));
    return JSON.stringify(expected) === JSON.stringify(observed);
  }
  return left.some((exchange) => {
    const others = left.filter((one) => one !== exchange);
    return outcomes(model, exchange).some((next): boolean => explains(next, others, observed));
  });
}

function outcomes(model: Model, { request, answer }: Exchange): Model[] {
  const done = perform(model, request);
  // Interrupted by a recovery: it was finished or undone. Too busy: nothing was done.
  if (answer === 'operation_interrupted')
    return done.answer === 'ok' ? [done.model, model] : [model];
  if (answer === 'organization_busy' || answer === 'credentials_changed') return [model];
  return done.answer === answer ? [done.model] : [];
}
