import { killAtEveryCommand, killAtEveryPoint } from './crash/kill-drills.ts';
import { pausedAlone, pausedAtCommands, pausedAtEveryPoint } from './crash/pause-drills.ts';
import { racingInstances } from './crash/race-drills.ts';
import { killedAtRandom } from './crash/random-kill-drills.ts';
import { staleReference } from './crash/stale-reference-drills.ts';
import type { Drill } from './support/drill.ts';
import { TOPOLOGIES } from './support/drill-mongod.ts';

/** Every drill, in the order they are run. */
export const DRILLS: readonly Drill[] = [
  ...TOPOLOGIES.map(killAtEveryPoint),
  ...TOPOLOGIES.map(killAtEveryCommand),
  ...TOPOLOGIES.map(pausedAtEveryPoint),
  ...TOPOLOGIES.map(pausedAlone),
  ...TOPOLOGIES.map(pausedAtCommands),
  ...TOPOLOGIES.map(killedAtRandom),
  ...TOPOLOGIES.map((topology) => racingInstances(topology)),
  ...TOPOLOGIES.map((topology) => staleReference(topology)),
  racingInstances('one-node replica set', 'unfenced'),
  staleReference('standalone', 'unfenced'),
];
