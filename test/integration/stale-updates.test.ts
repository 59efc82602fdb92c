import { ObjectId } from 'mongodb';
import { beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { expectStatus, type SignedUp, signUpAndIn, someSignUp } from '../support/test-service.ts';

// A test goes through every instant of an update.
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
      const find = () =>
        cluster.db.collection('organizations').findOne({ _id: new ObjectId(acme.organization.id) });
      const course = await paused.stopper.during({ reply }, () => put(paused, acme, late));
      const begun = (await find())?.operation !== undefined || (await find())?.metadata.plan;
      if (course.kind === 'ended' || begun) {
        if (course.kind === 'stopped') await course.wakeUp();
        break;
      }
      interrupted += 1;
      expectStatus(await put(other, acme, meanwhile), 200);
      expectStatus(await course.wakeUp(), 200);
      expect(await find()).toMatchObject({ ...meanwhile, ...late });
      expect(await contradictions(cluster.db)).toEqual([]);
    }
    expect(interrupted).toBeGreaterThan(3);
  },
);
