import { FAULT_POINTS } from '../../../src/tenants/lifecycle/fault-points.ts';
import type { Drill, DrillContext } from '../support/drill.ts';
import { DrillMongod, type SingleNodeTopology } from '../support/drill-mongod.ts';
import { Figures } from '../support/figures.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { untilConsistent } from '../support/until-consistent.ts';
import { inLanes } from '../support/waiting.ts';
import { CREATE_SCENARIOS } from './create-scenarios.ts';
import { DELETE_SCENARIO } from './delete-scenarios.ts';
import {
  describeInterruption,
  everyPoint,
  holdAll,
  type Interruption,
  verifyAll,
} from './interruption.ts';
import { Stage } from './stage.ts';
import { UPDATE_SCENARIOS } from './update-scenarios.ts';

const SCENARIOS = [...CREATE_SCENARIOS, ...UPDATE_SCENARIOS, DELETE_SCENARIO];
/** Operations that one `kill -9` interrupts in the short form. */
const BATCH = 8;
/** Most of a round is waiting for the lease of the dead to run out; more would compete for the processors. */
const LANES = 4;

/**
 * `kill -9` at every fault point of every operation; then a new process is started, and all has to be consistent within
 * 5 s of its start.
 *
 * The short form brings several operations to their points, each to another one, and kills the service once. The long form
 * lets the service kill itself at each point in turn.
 */
export function killAtEveryPoint(topology: SingleNodeTopology): Drill {
  return killDrill('kill -9 at every fault point', topology, async (url, figures, context) => {
    const cases = everyPoint(SCENARIOS);
    assertComplete(cases);
    if (context.short) await killInBatches(url, figures, cases);
    else await killOneByOne(url, figures, cases, context);
  });
}

/** `kill -9` right before every single command that an operation sends to the database. Takes minutes. */
export function killAtEveryCommand(topology: SingleNodeTopology): Drill {
  const drill = killDrill('kill -9 at every command', topology, (url, figures, { log }) =>
    inLanes(SCENARIOS, SCENARIOS.length, async (next) => {
      const scenario = next();
      if (scenario === undefined) return;
      await using stage = await Stage.open(url, figures);
      let service: ServiceProcess | undefined = await stage.startService();
      for (let hit = 1; service !== undefined; hit += 1) {
        log(`${scenario.name}, command ${hit}`);
        service = await killOnce(stage, service, { scenario, place: { command: null, hit } });
      }
    }),
  );
  return { ...drill, longOnly: true };
}

type Body = (url: string, figures: Figures, context: DrillContext) => Promise<void>;

function killDrill(title: string, topology: SingleNodeTopology, body: Body): Drill {
  const name = `${title}, ${topology}`;
  return {
    name,
    async run(context) {
      const figures = new Figures();
      await using mongod = await DrillMongod.start(context.mongodBinary, topology);
      await body(mongod.url, figures, context);
      return figures.result({ name, topology });
    },
  };
}

async function killInBatches(
  url: string,
  figures: Figures,
  cases: readonly Interruption[],
): Promise<void> {
  const batches = Array.from({ length: Math.ceil(cases.length / BATCH) }, (_, index) =>
    cases.slice(index * BATCH, (index + 1) * BATCH),
  );
  await inLanes(batches, LANES, async (next) => {
    await using stage = await Stage.open(url, figures);
    let service = await stage.startService();
    for (let batch = next(); batch !== undefined; batch = next()) {
      const held = await holdAll(stage, service, batch);
      await service.kill();
      service = await succeed(stage, 'a batch');
      await verifyAll(service.api, figures, held);
    }
  });
}

async function killOneByOne(
  url: string,
  figures: Figures,
  cases: readonly Interruption[],
  { log }: DrillContext,
): Promise<void> {
  await inLanes(cases, LANES, async (next) => {
    await using stage = await Stage.open(url, figures);
    let service: ServiceProcess | undefined = await stage.startService();
    for (let one = next(); one !== undefined; one = next()) {
      log(describeInterruption(one));
      service = await killOnce(stage, service, one);
      if (service === undefined) throw new Error(`${describeInterruption(one)} was not reached`);
    }
  });
}

/** @returns the service that took over from the one that died, or undefined when it never got to the place */
async function killOnce(
  stage: Stage,
  service: ServiceProcess,
  one: Interruption,
): Promise<ServiceProcess | undefined> {
  const trial = await one.scenario.prepare(stage, service.api);
  await service.ask({ kind: 'arm', fault: { place: one.place, effect: 'SIGKILL' } });
  const answer = trial.act(service.api);
  await Promise.race([answer, service.exited]);
  const { ok: alive } = await service.ask({ kind: 'disarm' });
  if (alive) return undefined;
  const successor = await succeed(stage, describeInterruption(one));
  await verifyAll(successor.api, stage.figures, [{ interruption: one, trial, answer }]);
  return successor;
}

/** Starts a service in place of one that died, and waits until all is consistent. */
async function succeed(stage: Stage, after: string): Promise<ServiceProcess> {
  const successor = await stage.startService();
  const { startedAt, startDelayMs } = successor;
  const { gapMs, findings } = await untilConsistent(stage.db, startedAt, startDelayMs);
  stage.figures.gap(gapMs);
  stage.figures.add(findings, after);
  return successor;
}

/** A point that no case reaches is a fault of the drill. */
function assertComplete(cases: readonly Interruption[]): void {
  const covered = new Set(cases.flatMap(({ place }) => ('point' in place ? [place.point] : [])));
  const missing = FAULT_POINTS.filter((point) => !covered.has(point));
  if (missing.length > 0) throw new Error(`no case for ${missing.join(', ')}`);
}
