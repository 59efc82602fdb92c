import { setTimeout as delay } from 'node:timers/promises';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { type Audit, audit, auditNode, merge } from './audit.ts';
import { DrillService } from './drill-service.ts';
import { Load } from './load.ts';
import { MongodSet } from './mongod-set.ts';
import { examine, promise, resultOf } from './verdict.ts';

const NAME = 'fail-over';
const LOAD_MS = 2_000;
/** Guarantee 4: writes resume within this time, of which MongoDB takes 10 to 11.5 s to call an election. */
const GAP_LIMIT_MS = 12_000;
/**
 * An election without a winner costs another 10 s, which is seen on a machine that is very busy. Then the service has to
 * resume so long after MongoDB can acknowledge majority writes, going by its own record.
 */
const AFTER_ELECTION_LIMIT_MS = 1_000;
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
  const worst = { gapMs: 0, withoutMajorityMs: 0 };
  for (let round = 1; round <= rounds; round += 1) {
    load.start();
    try {
      const withoutMajorityMs = await failOver(set, service, load);
      worst.withoutMajorityMs = Math.max(worst.withoutMajorityMs, withoutMajorityMs);
    } finally {
      await load.stop();
    }
    const gapMs = ledger.takeLongestGap();
    worst.gapMs = Math.max(worst.gapMs, gapMs);
    const limitMs = Math.max(GAP_LIMIT_MS, worst.withoutMajorityMs + AFTER_ELECTION_LIMIT_MS);
    promise(gapMs <= limitMs, 'writes resume within 12 s', describe(worst));
    merge(inBetween, await audit(service.db, ledger));
    log(`${round}/${rounds}: ${ledger.acknowledged} acknowledged, ${describe(worst)}`);
  }
  const examined = await examine(service, ledger);
  await set.level();
  for (const node of set.nodes) merge(examined.audit, await auditNode(node, service.db, ledger));
  const { settling } = examined;
  promise(settling.milliseconds <= SETTLE_LIMIT_MS, 'consistent within 5 s', settling.milliseconds);
  merge(examined.audit, inBetween);
  const notes = [`16 writers; at most ${describe(worst)}`, ledger.describeRefusals()];
  const { acknowledged } = ledger;
  const longestGapMs = worst.gapMs;
  return resultOf(
    { name: NAME, topology: 'three-node replica set', rounds, acknowledged, longestGapMs, notes },
    examined.audit,
    settling.orphans,
  );
}

function describe({ gapMs, withoutMajorityMs }: { gapMs: number; withoutMajorityMs: number }) {
  return `${gapMs} ms without a write, ${withoutMajorityMs} ms without a majority`;
}

/** @returns how long MongoDB itself could acknowledge no write by a majority, in milliseconds */
async function failOver(set: MongodSet, service: DrillService, load: Load): Promise<number> {
  await delay(LOAD_MS);
  const primary = await set.primary();
  const killedAt = await serverTime(service);
  await primary.kill();
  await load.nextWrite();
  const elected = await (await set.primary()).command({ replSetGetStatus: 1 });
  const majorityAt: Date = elected.electionCandidateMetrics.wMajorityWriteAvailabilityDate;
  await delay(SETTLE_LIMIT_MS);
  const stuck = await service.services.recovery.operations();
  const older = stuck.filter(({ started_at }) => started_at < killedAt);
  promise(older.length === 0, 'nothing is in a middle state after 5 s', JSON.stringify(older));
  await primary.start();
  await set.complete();
  await delay(LOAD_MS);
  return majorityAt.getTime() - killedAt.getTime();
}

async function serverTime({ db }: DrillService): Promise<Date> {
  const { localTime } = await db.command({ hello: 1 });
  return localTime;
}
