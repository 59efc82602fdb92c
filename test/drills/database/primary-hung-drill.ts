import { setTimeout as delay } from 'node:timers/promises';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { auditNode, merge } from './audit.ts';
import { DrillService } from './drill-service.ts';
import { Load, signUpAndIn, type Tenant } from './load.ts';
import { MongodSet } from './mongod-set.ts';
import { askEverything, expectUnavailable } from './requests.ts';
import { examine, promise, resultOf } from './verdict.ts';

const NAME = 'primary hung';
const LOAD_MS = 1_500;
const BURST = 10;
/**
 * Longer than after a kill: the election takes its 10 s, and then the other follower may wait as long for the next batch
 * of the hung node's oplog, and without it there is no majority.
 */
const GAP_LIMIT_MS = 30_000;
const SETTLE_LIMIT_MS = 5_000;

interface Scene {
  set: MongodSet;
  service: DrillService;
  load: Load;
}

/**
 * Lets the primary of three nodes hang under load; requests are refused in time. Half of the times it comes to before its
 * followers call an election, half of the times after: then it still takes itself for the primary, and must not be believed.
 */
export const primaryHungDrill: Drill = { name: NAME, run };

async function run({ short, log, mongodBinary }: DrillContext): Promise<DrillResult> {
  const rounds = short ? 1 : 6;
  await using set = await MongodSet.create(mongodBinary);
  await using service = await DrillService.start(set.url);
  const load = await Load.prepare(service);
  const { ledger } = load;
  let slowestMs = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const tenant = await signUpAndIn(service, `Tenant of round ${round}`);
    ledger.created(tenant.id, tenant.name);
    load.start();
    try {
      const answeredMs = await hang({ set, service, load }, tenant, round % 2 === 0);
      slowestMs = Math.max(slowestMs, answeredMs);
    } finally {
      await load.stop();
    }
    log(
      `${round}/${rounds}: answers within ${slowestMs} ms, longest gap ${ledger.longestGapMs} ms`,
    );
  }
  const { longestGapMs, acknowledged } = ledger;
  promise(longestGapMs <= GAP_LIMIT_MS, 'writes resume within 30 s', `${longestGapMs} ms`);
  const { settling, audit } = await examine(service, ledger);
  promise(settling.milliseconds <= SETTLE_LIMIT_MS, 'consistent within 5 s', settling.milliseconds);
  await set.level();
  for (const node of set.nodes) merge(audit, await auditNode(node, service.db, ledger));
  const notes = [`every answer a 503 within ${slowestMs} ms`, ledger.describeRefusals()];
  return resultOf(
    { name: NAME, topology: 'three-node replica set', rounds, acknowledged, longestGapMs, notes },
    audit,
    settling.orphans,
  );
}

/** @returns the slowest answer, in milliseconds */
async function hang({ set, service, load }: Scene, tenant: Tenant, untilElected: boolean) {
  await delay(LOAD_MS);
  const primary = await set.primary();
  primary.suspend();
  try {
    const slowestMs = expectUnavailable(await askEverything(service, tenant, load.ledger, BURST));
    if (untilElected) await load.nextWrite();
    return slowestMs;
  } finally {
    primary.resume();
    await load.nextWrite();
    await set.complete();
    await delay(LOAD_MS);
  }
}
