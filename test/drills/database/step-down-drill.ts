import { setTimeout as delay } from 'node:timers/promises';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { DrillService } from './drill-service.ts';
import { Load } from './load.ts';
import { MongodSet } from './mongod-set.ts';
import { examine, promise, resultOf } from './verdict.ts';

const NAME = 'planned step-down';
const BETWEEN_MS = 2_500;

/**
 * Asks the primary of three nodes to step down while everything is in use, as an operator does for maintenance. Nobody
 * may notice: not one error is allowed.
 */
export const stepDownDrill: Drill = { name: NAME, run };

async function run({ short, log, mongodBinary }: DrillContext): Promise<DrillResult> {
  const rounds = short ? 2 : 30;
  await using set = await MongodSet.create(mongodBinary);
  await using service = await DrillService.start(set.url);
  const load = await Load.prepare(service);
  const { ledger } = load;
  load.start();
  try {
    for (let round = 1; round <= rounds; round += 1) {
      await delay(BETWEEN_MS);
      await stepDown(set);
      log(`${round}/${rounds}: ${ledger.acknowledged} acknowledged`);
    }
    await delay(BETWEEN_MS);
  } finally {
    await load.stop();
  }
  promise(ledger.refusals.size === 0, 'a step-down gives no error', ledger.describeRefusals());
  const { settling, audit } = await examine(service, ledger);
  const { acknowledged, longestGapMs } = ledger;
  const notes = ['0 errors', `longest time without a write: ${longestGapMs} ms`];
  return resultOf(
    { name: NAME, topology: 'three-node replica set', rounds, acknowledged, longestGapMs, notes },
    audit,
    settling.orphans,
  );
}

async function stepDown(set: MongodSet): Promise<void> {
  const primary = await set.primary();
  // Shorter than a round, so that the next primary finds one it can hand over to.
  await primary.command({ replSetStepDown: 2, secondaryCatchUpPeriodSecs: 1 });
  promise((await set.primary()) !== primary, 'another node takes over', primary.address);
}
