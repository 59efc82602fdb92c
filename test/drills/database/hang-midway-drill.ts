import { setTimeout as delay } from 'node:timers/promises';
import {
  FAULT_POINTS,
  type FaultInjector,
  type FaultPoint,
} from '../../../src/tenants/lifecycle/fault-points.ts';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import type { SingleNodeTopology } from '../support/drill-mongod.ts';
import { untilTrue } from '../support/waiting.ts';
import { type Answer, DrillService, kindOf } from './drill-service.ts';
import { HangOperations } from './hang-operations.ts';
import { Ledger } from './ledger.ts';
import type { MongodNode } from './mongod-node.ts';
import { ANSWER_LIMIT_MS } from './requests.ts';
import { startSingle } from './single-node.ts';
import { examine, promise, resultOf } from './verdict.ts';

const NAME = 'hang in the middle of a request';
const PARKING_LIMIT_MS = 30_000;
/** How long after the last answer the database comes back: at once, while it may still be asked to clean up, and later. */
const COMES_BACK_AFTER_MS = [0, 1_000, 5_000];
const SETTLE_LIMIT_MS = 5_000;

/** Holds one operation at each fault point, until all of them are let go at once. */
class Parking {
  #free = new Set<FaultPoint>();
  #gate = Promise.withResolvers<void>();

  readonly inject: FaultInjector = async (point) => {
    if (this.#free.delete(point)) await this.#gate.promise;
  };

  open(): void {
    this.#free = new Set(FAULT_POINTS);
    this.#gate = Promise.withResolvers();
  }

  get full(): boolean {
    return this.#free.size === 0;
  }

  release(): void {
    this.#free.clear();
    this.#gate.resolve();
  }
}

/**
 * Brings one operation to each step boundary of create, update and delete, lets the database hang at that moment, and has
 * it come back. Each operation is answered in time, and is then wholly there or wholly absent.
 */
export function hangMidwayDrill(topology: SingleNodeTopology): Drill {
  return { name: `${NAME}, ${topology}`, run: (context) => run(topology, context) };
}

async function run(topology: SingleNodeTopology, context: DrillContext): Promise<DrillResult> {
  const { node, url } = await startSingle(context.mongodBinary, topology);
  await using _node = node;
  const parking = new Parking();
  await using service = await DrillService.start(url, { faults: parking.inject });
  const ledger = new Ledger();
  const rounds = context.short ? [0] : Array.from({ length: 4 }, () => COMES_BACK_AFTER_MS).flat();
  const worst = { answerMs: 0, settleMs: 0 };
  const halves: string[] = [];
  const contradictions: string[] = [];
  for (const comesBackAfterMs of rounds) {
    const operations = await HangOperations.prepare(service, ledger);
    const { answers, answerMs } = await hang(node, parking, operations);
    await delay(comesBackAfterMs);
    node.resume();
    const { settling } = await examine(service, ledger);
    contradictions.push(...settling.orphans);
    halves.push(...(await operations.halves()));
    worst.answerMs = Math.max(worst.answerMs, answerMs);
    worst.settleMs = Math.max(worst.settleMs, settling.milliseconds);
    context.log(`settled after ${settling.milliseconds} ms: ${answers.map(kindOf).join(', ')}`);
  }
  const unsettled = `${worst.settleMs} ms; ${contradictions.join('; ')}`;
  promise(worst.settleMs <= SETTLE_LIMIT_MS, 'consistent within 5 s', unsettled);
  const { settling, audit } = await examine(service, ledger);
  const notes = [`${FAULT_POINTS.length} fault points, answers within ${worst.answerMs} ms`];
  return resultOf(
    {
      ...{ name: `${NAME}, ${topology}`, topology, rounds: rounds.length, notes },
      ...{ acknowledged: ledger.acknowledged, longestGapMs: worst.settleMs },
    },
    audit,
    [...settling.orphans, ...halves],
  );
}

/** Has the database hang when an operation is at every fault point. @returns how long it took to answer them all */
async function hang(node: MongodNode, parking: Parking, operations: HangOperations) {
  parking.open();
  const running = operations.run();
  await untilTrue('an operation at every fault point', PARKING_LIMIT_MS, async () => parking.full);
  node.suspend();
  const hungAt = performance.now();
  parking.release();
  const answers = await running;
  const answerMs = Math.round(performance.now() - hungAt);
  promise(answerMs <= ANSWER_LIMIT_MS, 'an answer comes within 3 s', `${answerMs} ms`);
  promise(!answers.some(isWrong), 'answers are success or 503', answers.map(kindOf).join(', '));
  return { answers, answerMs };
}

function isWrong({ status }: Answer): boolean {
  return status !== 503 && (status < 200 || status > 299);
}
