import { setTimeout as delay } from 'node:timers/promises';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import { untilTrue } from '../support/waiting.ts';
import { DrillService } from './drill-service.ts';
import { Load } from './load.ts';
import { startSingle } from './single-node.ts';
import { SmallFileSystem } from './small-file-system.ts';
import { examine, resultOf } from './verdict.ts';

const NAME = 'full disk';
const TOPOLOGY = 'one-node replica set';
const SIZE_MB = 768;
/** What the load has to fill. */
const LEFT_MB = 48;
const PAYLOAD_BYTES = 32 * 1024;
const FULL_LIMIT_MS = 60_000;
/** For how long requests go on against a full disk. */
const FULL_FOR_MS = 2_000;

/**
 * Writes and signs up until the disk of `mongod` is full, goes on, gives it space again and restarts it. Requests are
 * refused with 5xx while it is full, and nothing that was acknowledged may be missing afterwards.
 */
export const fullDiskDrill: Drill = { name: NAME, run };

async function run({ log, mongodBinary }: DrillContext): Promise<DrillResult> {
  const mounted = await SmallFileSystem.mount(SIZE_MB);
  if (typeof mounted === 'string') return skipped(mounted);
  await using disk = mounted;
  const { node, url } = await startSingle(mongodBinary, TOPOLOGY, { folder: disk.folder });
  await using _node = node;
  await using service = await DrillService.start(url);
  const load = await Load.prepare(service, { payloadBytes: PAYLOAD_BYTES });
  const { ledger } = load;
  await disk.leave(LEFT_MB);
  load.start();
  try {
    await untilTrue('the disk is full', FULL_LIMIT_MS, async () => ledger.refusals.size > 0);
    await delay(FULL_FOR_MS);
  } finally {
    await load.stop();
  }
  const survived = node.running ? 'mongod went on' : 'mongod ended';
  log(`${survived}; ${ledger.describeRefusals()}`);
  await node.kill();
  await disk.free();
  await node.start();
  load.start();
  await load.nextWrite();
  await load.stop();
  const { settling, audit } = await examine(service, ledger);
  const { acknowledged, longestGapMs } = ledger;
  const notes = [survived, ledger.describeRefusals()];
  return resultOf(
    { name: NAME, topology: TOPOLOGY, rounds: 1, acknowledged, longestGapMs, notes },
    audit,
    settling.orphans,
  );
}

function skipped(reason: string): DrillResult {
  const nothing = { rounds: 0, acknowledged: 0, lost: 0, ghosts: 0, orphans: 0, longestGapMs: 0 };
  return { name: NAME, topology: TOPOLOGY, ...nothing, notes: [`skipped: ${reason}`] };
}
