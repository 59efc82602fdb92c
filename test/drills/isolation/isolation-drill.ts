import { setTimeout as delay } from 'node:timers/promises';
import { createLibrary } from '../../../src/composition/library.ts';
import { createMongoClient } from '../../../src/database/mongo-client.ts';
import { Stage } from '../crash/stage.ts';
import { COMMAND_RUNNERS } from '../support/command-runners.ts';
import type { Drill } from '../support/drill.ts';
import { DrillMongod, type SingleNodeTopology } from '../support/drill-mongod.ts';
import { Figures } from '../support/figures.ts';
import { untilConsistent } from '../support/until-consistent.ts';
import { RecordLedger } from './record-ledger.ts';
import { Tenants } from './tenants.ts';
import { Writer } from './writer.ts';

/** How much is going on, and for how long. */
interface Scale {
  organizations: number;
  writers: number;
  /** Of those who rename and delete. */
  changers: number;
  durationMs: number;
}

const LONG: Scale = { organizations: 200, writers: 32, changers: 8, durationMs: 60_000 };
const SHORT: Scale = { organizations: 30, writers: 12, changers: 6, durationMs: 10_000 };
/** Without the fence the first stray comes within a second or two. */
const UNFENCED: Scale = { ...SHORT, durationMs: 6_000 };

/**
 * Many organizations, whose names change hands all the time, and many writers, through two instances of the service and
 * through the library. In the end every record is where it was written for, and as it was left.
 */
export function isolation(
  topology: SingleNodeTopology,
  runner: keyof typeof COMMAND_RUNNERS = 'fenced',
): Drill {
  const title = runner === 'fenced' ? 'isolation' : "isolation, the library's fence off";
  const name = `${title}, ${topology}`;
  return {
    name,
    mustFail: runner !== 'fenced',
    async run({ mongodBinary, short, log }) {
      const scale = runner !== 'fenced' ? UNFENCED : short ? SHORT : LONG;
      const figures = new Figures();
      await using mongod = await DrillMongod.start(mongodBinary, topology);
      await using stage = await Stage.open(mongod.url, figures);
      const apis = [await stage.startService(), await stage.startService()].map(({ api }) => api);
      const tenants = new Tenants(stage, apis, scale.organizations);
      await tenants.create(scale.organizations);
      log(`${scale.organizations} organizations are there`);

      await using client = createMongoClient(mongod.url);
      const settings = { masterDatabase: stage.db.databaseName };
      const sources = { run: COMMAND_RUNNERS[runner] };
      const ledger = new RecordLedger();
      const writers = Array.from({ length: scale.writers }, (_, number) => {
        // Each of its own, so that each has to find out by itself that a name has changed hands.
        const tenantry = createLibrary(client, settings, async () => {}, sources);
        return new Writer({ number, tenants, ledger, figures, apis, tenantry });
      });
      let isOver = false;
      const repeating = async (step: () => Promise<void>) => {
        while (!isOver) await step();
      };
      const all = [
        ...writers.map((writer) => repeating(() => writer.step())),
        ...Array.from({ length: scale.changers }, () => repeating(() => tenants.change())),
      ];
      await Promise.race([delay(scale.durationMs), Promise.all(all)]);
      isOver = true;
      await Promise.all(all);

      const { gapMs, findings } = await untilConsistent(stage.db, performance.now());
      figures.gap(gapMs);
      figures.add(findings);
      figures.add(await ledger.check(stage.db));
      const unknown = [tenants, ...writers].reduce((sum, one) => sum + one.unknown, 0);
      figures.note(noteOf(scale, figures.rounds, unknown));
      return figures.result({ name, topology });
    },
  };
}

function noteOf(scale: Scale, changes: number, unknown: number): string {
  const { organizations, writers, durationMs } = scale;
  return (
    `${organizations} organizations, ${writers} writers, ${durationMs / 1_000} s; ` +
    `${changes} times names changed hands; ${unknown} outcomes unknown`
  );
}
