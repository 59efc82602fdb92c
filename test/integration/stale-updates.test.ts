import { ObjectId } from 'mongodb';
import { beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { expectProblem } from '../support/api.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { expectStatus, type SignedUp, signUpAndIn, someSignUp } from '../support/test-service.ts';

// A test goes through every instant of an update.
vi.setConfig({ testTimeout: 120_000 });

// Whoever finds an organization busy looks again without waiting for it.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async () => {},
}));

let cluster: Cluster;
let paused: Instance;
let other: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  paused = await cluster.instance();
  other = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

beforeEach(() => cluster.empty());

const put = ({ app }: Instance, { auth: headers }: SignedUp, payload: object) =>
  app.inject({ method: 'PUT', url: '/org/update', headers, payload });

const MEANWHILE = [
  { external_id: 'customer 17' },
  { organization_name: someSignUp().organization_name, external_id: 'customer 17' },
];
const LATE = [
  { metadata: { plan: 'gold' } },
  { metadata: { plan: 'gold' }, organization_name: someSignUp().organization_name },
];

const find = ({ organization }: SignedUp) =>
  cluster.db.collection('organizations').findOne({ _id: new ObjectId(organization.id) });

/** Pauses an update after so many calls. @returns how it goes on, or undefined when it had begun by then */
async function pauseBefore(reply: number, acme: SignedUp, late: object) {
  const course = await paused.stopper.during({ reply }, () => put(paused, acme, late));
  const now = await find(acme);
  if (course.kind === 'stopped' && now?.operation === undefined && !now?.metadata.plan)
    return course.wakeUp;
  if (course.kind === 'stopped') await course.wakeUp();
  return undefined;
}

/**
 * One instance is paused after every call in turn, before its update has begun; meanwhile another one makes an update of
 * its own. Whatever the first one had read by then is out of date.
 */
test.for(MEANWHILE.flatMap((meanwhile) => LATE.map((late) => ({ meanwhile, late }))))(
  'an update decided on what another has changed since takes nothing back: $late after $meanwhile',
  async ({ meanwhile, late }) => {
    let interrupted = 0;
    for (let reply = 1; ; reply += 1) {
      await cluster.empty();
      const acme = await signUpAndIn(other);
      const wakeUp = await pauseBefore(reply, acme, late);
      if (wakeUp === undefined) break;
      interrupted += 1;
      expectStatus(await put(other, acme, meanwhile), 200);
      expectStatus(await wakeUp(), 200);
      expect(await find(acme)).toMatchObject({ ...meanwhile, ...late });
      expect(await contradictions(cluster.db)).toEqual([]);
    }
    expect(interrupted).toBeGreaterThan(3);
  },
);

/** The same, and the other one is half-way when the first one goes on. */
test.for(LATE)('an update does not begin in the middle of another: %o', async (late) => {
  const [, meanwhile = {}] = MEANWHILE;
  let interrupted = 0;
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const acme = await signUpAndIn(other);
    const wakeUp = await pauseBefore(reply, acme, late);
    if (wakeUp === undefined) break;
    interrupted += 1;
    const act = () => put(other, acme, meanwhile);
    const halfWay = await other.stopper.during({ point: 'update:reserved' }, act);
    expectProblem(await wakeUp(), 409, 'organization_busy');
    if (halfWay.kind === 'ended') throw new Error('ended without it');
    expectStatus(await halfWay.wakeUp(), 200);
    expect(await find(acme)).toMatchObject({ ...meanwhile, metadata: {} });
    expect(await contradictions(cluster.db)).toEqual([]);
  }
  expect(interrupted).toBeGreaterThan(3);
});
