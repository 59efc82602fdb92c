import { killAtEveryCommand, killAtEveryPoint } from './crash/kill-drills.ts';
import { pausedAlone, pausedAtCommands, pausedAtEveryPoint } from './crash/pause-drills.ts';
import { racingInstances } from './crash/race-drills.ts';
import { killedAtRandom } from './crash/random-kill-drills.ts';
import { staleReference } from './crash/stale-reference-drills.ts';
import { capacityDrill } from './database/capacity-drill.ts';
import { changeFeedDrill } from './database/change-feed-drill.ts';
import { databaseAwayDrill } from './database/database-away-drill.ts';
import { failOverDrill } from './database/fail-over-drill.ts';
import { fullDiskDrill } from './database/full-disk-drill.ts';
import { hangMidwayDrill } from './database/hang-midway-drill.ts';
import { primaryHungDrill } from './database/primary-hung-drill.ts';
import { stepDownDrill } from './database/step-down-drill.ts';
import { weakWriteConcernDrill } from './database/weak-write-concern-drill.ts';
import { isolation } from './isolation/isolation-drill.ts';
import type { Drill } from './support/drill.ts';
import { TOPOLOGIES } from './support/drill-mongod.ts';

/** What differs little between the kinds of MongoDB: the short form runs it on one of them, the long form on both. */
function mostlyOn(
  chosen: (typeof TOPOLOGIES)[number],
  drillOn: (topology: (typeof TOPOLOGIES)[number]) => Drill,
): Drill[] {
  return TOPOLOGIES.map((topology) => ({
    ...drillOn(topology),
    ...(topology === chosen ? {} : { longOnly: true }),
  }));
}

/** Every drill, in the order they are run. */
export const DRILLS: readonly Drill[] = [
  ...TOPOLOGIES.map(killAtEveryPoint),
  ...TOPOLOGIES.map(killAtEveryCommand),
  ...TOPOLOGIES.map(killedAtRandom),
  ...mostlyOn('one-node replica set', pausedAtEveryPoint),
  ...mostlyOn('standalone', pausedAtCommands),
  ...mostlyOn('standalone', pausedAlone),
  ...mostlyOn('one-node replica set', racingInstances),
  ...mostlyOn('standalone', staleReference),
  ...mostlyOn('one-node replica set', isolation),
  racingInstances('one-node replica set', 'unfenced'),
  isolation('one-node replica set', 'unfenced'),
  staleReference('standalone', 'unfenced'),
  failOverDrill,
  stepDownDrill,
  changeFeedDrill,
  primaryHungDrill,
  ...mostlyOn('one-node replica set', databaseAwayDrill),
  ...mostlyOn('standalone', hangMidwayDrill),
  fullDiskDrill,
  capacityDrill,
  weakWriteConcernDrill,
];
