import { setTimeout as delay } from 'node:timers/promises';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { type Audit, audit, auditNode, merge } from './audit.ts';
import { DrillService } from './drill-service.ts';
import { Load } from './load.ts';
import { MongodSet } from './mongod-set.ts';
import { examine, promise, resultOf } from './verdict.ts';

const NAME = 'fail-over';
const LOAD_MS = 2_000;
/** Guarantee 4: writes resume within this time. */
const GAP_LIMIT_MS = 12_000;
/** Guarantee 1: nothing is in a middle state so long after the service can write again. */
const SETTLE_LIMIT_MS = 5_000;

/** Kills the primary of three nodes under load, lets it come back as a follower, and reads what every node then holds. */
export const failOverDrill: Drill = { name: NAME, run };

async function run({ short, log, mongodBinary }: DrillContext): Promise<DrillResult> {
  const rounds = short ? 1 : 10;
  await using set = await MongodSet.create(mongodBinary);
  await using service = await DrillService.start(set.url);
  const load = await Load.prepare(service);
  const { ledger } = load;
  const inBetween: Audit = { lost: [], ghosts: [] };
  for (let round = 1; round <= rounds; round += 1) {
    load.start();
    try {
      await failOver(set, service, load);
    } finally {
      await load.stop();
    }
    merge(inBetween, await audit(service.db, ledger));
    log(
      `${NAME} ${round}/${rounds}: ${ledger.acknowledged} acknowledged, gap ${ledger.longestGapMs} ms`,
    );
  }
  const { longestGapMs, acknowledged } = ledger;
  promise(longestGapMs <= GAP_LIMIT_MS, 'writes resume within 12 s', `${longestGapMs} ms`);
  const examined = await examine(service, ledger);
  await set.level();
  for (const node of set.nodes) merge(examined.audit, await auditNode(node, service.db, ledger));
  const { settling } = examined;
  promise(settling.milliseconds <= SETTLE_LIMIT_MS, 'consistent within 5 s', settling.milliseconds);
  merge(examined.audit, inBetween);
  const notes = [
    `16 writers; longest time without a write: ${longestGapMs} ms`,
    ledger.describeRefusals(),
  ];
  return resultOf(
    { name: NAME, topology: 'three-node replica set', rounds, acknowledged, longestGapMs, notes },
    examined.audit,
    settling.orphans,
  );
}

async function failOver(set: MongodSet, service: DrillService, load: Load): Promise<void> {
  await delay(LOAD_MS);
  const primary = await set.primary();
  const killedAt = await serverTime(service);
  await primary.kill();
  await set.primary();
  await load.nextWrite();
  await delay(SETTLE_LIMIT_MS);
  const stuck = await service.services.recovery.operations();
  const older = stuck.filter(({ started_at }) => started_at < killedAt);
  promise(older.length === 0, 'nothing is in a middle state after 5 s', JSON.stringify(older));
  await primary.start();
  await set.complete();
  await delay(LOAD_MS);
}

async function serverTime({ db }: DrillService): Promise<Date> {
  const { localTime } = await db.command({ hello: 1 });
  return localTime;
}
