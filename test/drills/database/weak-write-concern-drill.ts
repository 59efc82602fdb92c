import { setTimeout as delay } from 'node:timers/promises';
import type { ObjectId } from 'mongodb';
import { collectionReference } from '../../../src/registry/organization-document.ts';
import { runFenced } from '../../../src/tenants/fence.ts';
import { type CommandRunner, TenantCollection } from '../../../src/tenants/tenant-collection.ts';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { audit } from './audit.ts';
import { DrillService } from './drill-service.ts';
import { Load } from './load.ts';
import type { MongodNode } from './mongod-node.ts';
import { MongodSet } from './mongod-set.ts';
import { promise, resultOf } from './verdict.ts';

const NAME = 'fail-over with w: 1';
const LOAD_MS = 1_000;
/** Makes mongod take `configureFailPoint`. */
const TEST_COMMANDS = ['--setParameter', 'enableTestCommands=1'];

/**
 * Proves the checker of the fail-over drill: writers that ask for `w: 1` have to lose what was acknowledged while the
 * primary was cut off from its followers, and the drill has to see it. Writers that ask for what the service asks for run
 * beside them, through the same fail-over, and lose nothing.
 */
export const weakWriteConcernDrill: Drill = { name: NAME, mustFail: true, run };

async function run({ log, mongodBinary }: DrillContext): Promise<DrillResult> {
  await using set = await MongodSet.create(mongodBinary, TEST_COMMANDS);
  await using service = await DrillService.start(set.url);
  const weak = await Load.prepare(service, { open: openWeakly, label: 'Weak' });
  const durable = await Load.prepare(service, { label: 'Durable' });
  weak.startWriters();
  durable.startWriters();
  try {
    await failOverCutOff(set);
    await durable.nextWrite();
  } finally {
    await Promise.all([weak.stop(), durable.stop()]);
  }
  await set.level();
  const kept = await audit(service.db, durable.ledger, weak.ledger);
  const found = await audit(service.db, weak.ledger, durable.ledger);
  const { acknowledged, longestGapMs } = weak.ledger;
  const control = `${kept.lost.length} of ${durable.ledger.acknowledged}`;
  promise(kept.lost.length === 0, 'with w: "majority" nothing is lost', control);
  log(`lost ${found.lost.length} of ${acknowledged}; with w: "majority" ${control}`);
  const notes = [`in the same fail-over, with w: "majority": lost ${control}`];
  return resultOf(
    {
      name: NAME,
      topology: 'three-node replica set',
      rounds: 1,
      acknowledged,
      longestGapMs,
      notes,
    },
    found,
    [],
  );
}

/** Kills a primary that wrote for a second without its followers knowing, and lets it come back. */
async function failOverCutOff(set: MongodSet): Promise<void> {
  await delay(LOAD_MS);
  const primary = await set.primary();
  const followers = await set.secondaries();
  await replicate(followers, false);
  await delay(LOAD_MS);
  await primary.kill();
  await set.elect(...followers);
  await replicate(followers, true);
  await primary.start();
  await set.complete();
}

/** Suspending the followers would not do: the kernel takes what the primary sends them meanwhile. */
async function replicate(followers: readonly MongodNode[], on: boolean): Promise<void> {
  const mode = on ? 'off' : 'alwaysOn';
  const failPoint = { configureFailPoint: 'stopReplProducer', mode };
  await Promise.all(followers.map((node) => node.command(failPoint)));
}

const runWeakly: CommandRunner = (db, uuid, command, { write, ...options }) =>
  runFenced(
    db,
    uuid,
    { ...command, ...(write && { writeConcern: { w: 1 } }) },
    {
      ...options,
      // It would add the write concern that the service asks for.
      write: false,
    },
  );

async function openWeakly(service: DrillService, id: ObjectId): Promise<TenantCollection> {
  const reference = collectionReference(await service.services.organizations.findServing(id));
  if (reference === undefined) throw new Error('a serving organization has a collection');
  return new TenantCollection(service.client, reference, { run: runWeakly });
}
