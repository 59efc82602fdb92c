/**
 * Runs the drills, one after the other, and prints one line for each. Ends with 1 if anything was lost, was there that
 * should not be, or belonged to nothing; a drill with its protection turned off has to find something instead.
 *
 * Usage: `node test/drills/main.ts [--short] [--only <name>]…`; `--only` takes the beginning of a name, too.
 */
import { parseArgs } from 'node:util';
import { testMongodBinary } from '../support/test-mongod.ts';
import { DRILLS } from './drills.ts';
import { type Drill, type DrillResult, faultsOf } from './support/drill.ts';

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
  },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const chosen = DRILLS.filter(
  ({ name, longOnly = false }) =>
    !(values.short && longOnly) &&
    (values.only === undefined || values.only.some((only) => name.startsWith(only))),
);
if (chosen.length === 0) throw new Error(`no such drill; there are: ${namesOf(DRILLS)}`);
const failed = await runAll(chosen);
console.log(`${chosen.length - failed.length} drills passed, ${failed.length} failed`);
if (failed.length > 0) console.log(`failed: ${namesOf(failed)}`);
process.exit(failed.length === 0 ? 0 : 1);

async function runAll(drills: readonly Drill[]): Promise<Drill[]> {
  const mongodBinary = await testMongodBinary();
  const failures: Drill[] = [];
  for (const drill of drills) {
    const start = performance.now();
    const log = (line: string) => process.stderr.write(`  ${drill.name}: ${line}\n`);
    try {
      const result = await drill.run({ short: values.short, mongodBinary, log });
      console.log(lineOf(drill, result, performance.now() - start));
      for (const note of result.notes) console.log(`    ${note}`);
      if (!isPassed(drill, result)) failures.push(drill);
    } catch (error) {
      console.log(`FAILED  ${drill.name} | could not be run to its end`);
      console.error(error);
      failures.push(drill);
    }
  }
  return failures;
}

function isPassed({ mustFail = false }: Drill, result: DrillResult): boolean {
  return faultsOf(result) > 0 === mustFail;
}

function lineOf(drill: Drill, result: DrillResult, durationMs: number): string {
  const { name, topology, rounds, acknowledged, lost, ghosts, orphans, longestGapMs } = result;
  const columns = [
    name.padEnd(44),
    topology.padEnd(20),
    `${rounds} rounds`,
    `${acknowledged} acknowledged`,
    `${lost} lost`,
    `${ghosts} ghosts`,
    `${orphans} orphans`,
    `longest gap ${Math.round(longestGapMs)} ms`,
    `${Math.round(durationMs / 1_000)} s`,
  ];
  return `${verdictOf(drill, result)}  ${columns.join(' | ')}`;
}

function verdictOf(drill: Drill, result: DrillResult): string {
  if (!isPassed(drill, result)) return drill.mustFail ? 'FAILED, saw no failure' : 'FAILED';
  return drill.mustFail ? 'ok, expected failure seen' : 'ok';
}

function namesOf(drills: readonly Drill[]): string {
  return drills.map(({ name }) => name).join(', ');
}
