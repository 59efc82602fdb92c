import { setTimeout as delay } from 'node:timers/promises';
import { DocumentLedger } from '../support/document-ledger.ts';
import type { Drill, DrillContext } from '../support/drill.ts';
import { DrillMongod, type SingleNodeTopology } from '../support/drill-mongod.ts';
import { Figures } from '../support/figures.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { untilConsistent } from '../support/until-consistent.ts';
import { Stage } from './stage.ts';
import { Worker } from './worker.ts';

const WORKERS = 6;
const VICTIMS = ['mongod', 'service', 'both'] as const;
const SHORT_ROUNDS = 2;
const LONG_ROUNDS = 15;
/** Of load before a kill. */
const SHORTEST_MS = 300;
const LONGEST_MS = 1_800;

type Victim = (typeof VICTIMS)[number];

/**
 * `kill -9` of the service, of mongod or of both at a random instant, with clients creating, renaming, updating, deleting
 * and inserting. All has to be consistent within 5 s of the restart, and every client finds what it was told.
 */
export function killedAtRandom(topology: SingleNodeTopology): Drill {
  const name = `kill -9 at random under load, ${topology}`;
  return {
    name,
    async run(context) {
      const figures = new Figures();
      await using mongod = await DrillMongod.start(context.mongodBinary, topology);
      await using stage = await Stage.open(mongod.url, figures);
      await runRounds(context, stage, mongod);
      return figures.result({ name, topology });
    },
  };
}

async function runRounds(
  { short, log }: DrillContext,
  stage: Stage,
  mongod: DrillMongod,
): Promise<void> {
  const { figures, db } = stage;
  const ledger = new DocumentLedger();
  const workers = Array.from({ length: WORKERS }, () => new Worker(stage, ledger));
  let service = await stage.startService();
  for (let round = 0; round < (short ? SHORT_ROUNDS : LONG_ROUNDS); round += 1) {
    const victim = VICTIMS[round % VICTIMS.length] ?? 'both';
    const stop = new AbortController();
    const work = workers.map((worker) => worker.work(service, stop.signal));
    await delay(SHORTEST_MS + Math.random() * (LONGEST_MS - SHORTEST_MS));
    const next = await killAndRestart(victim, stage, mongod, service);
    const restarted = next !== service;
    const since = restarted ? next.startedAt : performance.now();
    const allowance = restarted ? next.startDelayMs : 0;
    service = next;
    stop.abort();
    await Promise.all(work);
    const { gapMs, findings } = await untilConsistent(db, since, allowance);
    log(`round ${round + 1}: killed ${victim}, consistent after ${Math.round(gapMs)} ms`);
    figures.rounds += 1;
    figures.gap(gapMs);
    figures.add(findings, `after ${victim} was killed`);
    for (const worker of workers) figures.add(await worker.settle(service.api), `killed ${victim}`);
    figures.add(await ledger.check(db), `after ${victim} was killed`);
  }
}

/** @returns the service there is now */
async function killAndRestart(
  victim: Victim,
  stage: Stage,
  mongod: DrillMongod,
  service: ServiceProcess,
): Promise<ServiceProcess> {
  await Promise.all([
    victim === 'service' ? undefined : mongod.kill(),
    victim === 'mongod' ? undefined : service.kill(),
  ]);
  if (victim !== 'service') await mongod.restart();
  return victim === 'mongod' ? service : stage.startService();
}
