import type { OrganizationDocument } from '../../../src/registry/organization-document.ts';
import { ORGANIZATIONS } from '../../../src/registry/registry-store.ts';
import type { Drill, DrillContext } from '../support/drill.ts';
import { DrillMongod, type SingleNodeTopology } from '../support/drill-mongod.ts';
import { Figures } from '../support/figures.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { untilConsistent } from '../support/until-consistent.ts';
import { inLanes, untilTrue } from '../support/waiting.ts';
import { CREATE_BY_NEW_PERSON, CREATE_SCENARIOS } from './create-scenarios.ts';
import { DELETE_SCENARIO } from './delete-scenarios.ts';
import {
  describeInterruption,
  everyPoint,
  holdAll,
  type Interruption,
  verifyAll,
} from './interruption.ts';
import { Stage } from './stage.ts';
import type { Scenario } from './trial.ts';
import { UPDATE_SCENARIOS, UPDATE_SEQUELS } from './update-scenarios.ts';

const SCENARIOS = [...CREATE_SCENARIOS, ...UPDATE_SCENARIOS, ...UPDATE_SEQUELS, DELETE_SCENARIO];
const TAKE_OVER_LIMIT_MS = 30_000;
const LONG_REPETITIONS = 3;
/** Most of a round is waiting for leases to run out. */
const LANES = 4;

/** The commands that act outside the registry, where looking at a lease and acting on it are two things. */
const CRITICAL: readonly Interruption[] = [
  // The A-B-A case: it wakes up and moves a collection that was moved back.
  ...UPDATE_SCENARIOS.map((scenario) => at(scenario, 'renameCollection')),
  ...UPDATE_SEQUELS.slice(-1).map((scenario) => at(scenario, 'renameCollection')),
  at(CREATE_BY_NEW_PERSON, 'create'),
  at(DELETE_SCENARIO, 'drop'),
];

/**
 * An instance is paused with an operation at every fault point. Another one takes all of them over and ends them, and
 * others go on from there: rename back, change the password again, take the freed name. Then the first instance goes on
 * where it was.
 */
export function pausedAtEveryPoint(topology: SingleNodeTopology): Drill {
  return pauseDrill('paused at every fault point', topology, async (url, figures, { short }) => {
    for (let round = 0; round < (short ? 1 : LONG_REPETITIONS); round += 1) {
      await using stage = await Stage.open(url, figures);
      const paused = await stage.startService();
      const other = await stage.startService();
      const held = await holdAll(stage, paused, everyPoint(SCENARIOS));
      paused.pause();
      await untilEnded(stage);
      for (const { trial } of held) await trial.meddle(other.api);
      await paused.ask({ kind: 'release' }, () => paused.resume());
      await Promise.all(held.map(({ answer }) => answer));
      await settle(stage, other);
      await verifyAll(other.api, figures, held);
    }
  });
}

/**
 * The same with no other instance: what takes the operation over is the recovery of the instance that was paused. The
 * operation goes on at the very moment at which recovery acts on the collection.
 */
export function pausedAlone(topology: SingleNodeTopology): Drill {
  return pauseDrill('paused alone', topology, async (url, figures, { log, short }) => {
    const repetitions = short ? 1 : LONG_REPETITIONS;
    const cases = Array.from({ length: repetitions }, () => RECOVERED_BY_ITSELF).flat();
    let takenOver = 0;
    await inLanes(cases, LANES, async (next) => {
      await using stage = await Stage.open(url, figures);
      const service = await stage.startService();
      for (let one = next(); one !== undefined; one = next()) {
        log(describeInterruption(one));
        const held = await holdAll(stage, service, [one]);
        const place = { command: one.recoveredBy, hit: 1 };
        await service.ask({ kind: 'arm', fault: { place, effect: 'release' } });
        service.pause();
        await untilLeasesExpired(stage);
        service.resume();
        // The operation may wake up first and renew its lease; then there is nothing to recover.
        await untilTrue('somebody takes it up', TAKE_OVER_LIMIT_MS, async () => {
          return (await countOperations(stage, EXPIRED)) === 0;
        });
        if ((await countOperations(stage, { 'operation.attempts': 1 })) > 0)
          await service.ask({ kind: 'release' });
        else takenOver += 1;
        await Promise.all(held.map(({ answer }) => answer));
        await settle(stage, service);
        await verifyAll(service.api, figures, held);
      }
    });
    figures.note(`${takenOver} of ${figures.rounds} were taken over`);
  });
}

/**
 * As {@link pausedAtEveryPoint}, but paused when a command is about to be written to the socket: after the last look at the
 * lease, right before the act. Short: before the commands that act on collections. Long: before every command.
 */
export function pausedAtCommands(topology: SingleNodeTopology): Drill {
  return pauseDrill('paused at commands', topology, async (url, figures, { short, log }) => {
    const first = SCENARIOS.map((scenario) => ({ scenario, place: { command: null, hit: 1 } }));
    const cases = short ? CRITICAL : first;
    await inLanes(cases, cases.length, async (next) => {
      await using stage = await Stage.open(url, figures);
      const paused = await stage.startService();
      const other = await stage.startService();
      for (let one = next(); one !== undefined; ) {
        log(describeInterruption(one));
        const reached = await pauseOnce(stage, paused, other, one);
        if (short && !reached) throw new Error(`${describeInterruption(one)} was not reached`);
        one = short || !reached ? next() : later(one);
      }
    });
  });
}

/** Where recovery has something to do with the collection, and the command with which it does it. */
const RECOVERED_BY_ITSELF = [
  ...everyPoint([CREATE_BY_NEW_PERSON])
    .slice(1, -1)
    .map((one) => ({ ...one, recoveredBy: 'drop' })),
  ...everyPoint(UPDATE_SCENARIOS)
    .filter(({ place }) => 'point' in place && place.point === 'update:reserved')
    .map((one) => ({ ...one, recoveredBy: 'renameCollection' })),
  ...everyPoint([DELETE_SCENARIO])
    .slice(0, 1)
    .map((one) => ({ ...one, recoveredBy: 'drop' })),
];

type Body = (url: string, figures: Figures, context: DrillContext) => Promise<void>;

function pauseDrill(title: string, topology: SingleNodeTopology, body: Body): Drill {
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

/** @returns whether the operation got to the place; otherwise it was carried out */
async function pauseOnce(
  stage: Stage,
  paused: ServiceProcess,
  other: ServiceProcess,
  one: Interruption,
): Promise<boolean> {
  const trial = await one.scenario.prepare(stage, paused.api);
  await paused.ask({ kind: 'arm', fault: { place: one.place, effect: 'SIGSTOP' } });
  const answer = trial.act(paused.api);
  if ((await Promise.race([answer, paused.paused()])) !== undefined) {
    await paused.ask({ kind: 'disarm' });
    return false;
  }
  await untilLeasesExpired(stage);
  await untilEnded(stage);
  await trial.meddle(other.api);
  paused.resume();
  await answer;
  await settle(stage, other);
  await verifyAll(other.api, stage.figures, [{ interruption: one, trial, answer }]);
  return true;
}

/** What the awakened instance did ends, at the latest with a lease; then the registry is compared with what exists. */
async function settle(stage: Stage, service: ServiceProcess): Promise<void> {
  const awake = performance.now();
  await untilEnded(stage);
  await service.ask({ kind: 'reconcile' });
  const { gapMs, findings } = await untilConsistent(stage.db, awake);
  stage.figures.gap(gapMs);
  stage.figures.add(findings, 'after the pause');
}

/** Waits until no operation is under way. */
async function untilEnded(stage: Stage): Promise<void> {
  await untilTrue('every operation has ended', TAKE_OVER_LIMIT_MS, async () => {
    return (await countOperations(stage, {})) === 0;
  });
}

/** Waits until the leases of all operations have run out, by the database's clock. */
async function untilLeasesExpired(stage: Stage): Promise<void> {
  await untilTrue('every lease has run out', TAKE_OVER_LIMIT_MS, async () => {
    const [all, expired] = [
      await countOperations(stage, {}),
      await countOperations(stage, EXPIRED),
    ];
    return all === expired;
  });
}

const EXPIRED = { $expr: { $lt: ['$operation.lease_expires_at', '$$NOW'] } };

function countOperations(stage: Stage, filter: object): Promise<number> {
  return stage.db
    .collection<OrganizationDocument>(ORGANIZATIONS.name)
    .countDocuments({ operation: { $exists: true }, ...filter });
}

function at(scenario: Scenario, command: string): Interruption {
  return { scenario, place: { command, hit: 1 } };
}

function later({ scenario, place }: Interruption): Interruption {
  return { scenario, place: { ...place, hit: place.hit + 1 } };
}
