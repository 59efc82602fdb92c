import { setTimeout as delay } from 'node:timers/promises';
import type { Drill, DrillContext, DrillResult } from '../support/drill.ts';
import type { SingleNodeTopology } from '../support/drill-mongod.ts';
import { DrillService, kindOf } from './drill-service.ts';
import { Ledger } from './ledger.ts';
import { signUpAndIn } from './load.ts';
import type { MongodNode } from './mongod-node.ts';
import { askEverything, expectUnavailable } from './requests.ts';
import { startSingle } from './single-node.ts';
import { examine, promise, resultOf } from './verdict.ts';

const NAME = 'database stopped and hung';
/** Copies of each of the eleven kinds of request that arrive at once. */
const BURST = 20;
/** The driver's pool of 100, its monitors, and what the drill itself opens. */
const MOST_CONNECTIONS = 110;
/** Within this time the driver notices by itself that a server hangs: 10 s without news, 2 s without a sign of life. */
const NOTICED_MS = 13_000;
const RECOVERY_LIMIT_MS = 5_000;

interface Attack {
  name: string;
  begin(node: MongodNode): Promise<void>;
  end(node: MongodNode): Promise<void>;
  /** How long after the first answers the last requests arrive. */
  lastsMs: number;
}

const hang = {
  begin: async (node: MongodNode) => node.suspend(),
  end: async (node: MongodNode) => node.resume(),
};
const ATTACKS: readonly Attack[] = [
  { name: 'stopped', begin: (node) => node.shutDown(), end: (node) => node.start(), lastsMs: 0 },
  { name: 'hung', ...hang, lastsMs: 0 },
  { name: 'hung for long', ...hang, lastsMs: NOTICED_MS },
];

/**
 * Takes the only `mongod` away, and lets it hang, while requests of every kind arrive, 220 of them at once; then gives it
 * back. Password hashes cost what they cost in production.
 */
export function databaseAwayDrill(topology: SingleNodeTopology): Drill {
  return { name: `${NAME}, ${topology}`, run: (context) => run(topology, context) };
}

async function run(topology: SingleNodeTopology, context: DrillContext): Promise<DrillResult> {
  const { node, url } = await startSingle(context.mongodBinary, topology);
  await using _node = node;
  await using service = await DrillService.start(url, { bcryptCost: 12 });
  const ledger = new Ledger();
  const attacks = context.short ? ATTACKS.slice(0, 2) : ATTACKS;
  const worst = { answerMs: 0, recoveryMs: 0, connections: 0 };
  for (const attack of attacks) {
    const tenant = await signUpAndIn(service, `Tenant ${attack.name}`);
    ledger.created(tenant.id, tenant.name);
    await attack.begin(node);
    const burstMs = expectUnavailable(await askEverything(service, tenant, ledger, BURST));
    await delay(attack.lastsMs);
    const lastMs = expectUnavailable(await askEverything(service, tenant, ledger));
    const answerMs = Math.max(burstMs, lastMs);
    await attack.end(node);
    const recoveryMs = await recovered(service, ledger, attack.name);
    const connections = await connectionsOf(node);
    context.log(
      `${NAME}, ${attack.name}: answers within ${answerMs} ms, back after ${recoveryMs} ms`,
    );
    worst.answerMs = Math.max(worst.answerMs, answerMs);
    worst.recoveryMs = Math.max(worst.recoveryMs, recoveryMs);
    worst.connections = Math.max(worst.connections, connections);
  }
  promise(worst.recoveryMs <= RECOVERY_LIMIT_MS, 'back within 5 s', `${worst.recoveryMs} ms`);
  promise(worst.connections <= MOST_CONNECTIONS, 'no connection leaks', worst.connections);
  const { settling, audit } = await examine(service, ledger);
  const notes = [
    `every answer a 503 within ${worst.answerMs} ms, back after ${worst.recoveryMs} ms, ${worst.connections} connections`,
  ];
  return resultOf(
    {
      ...{ name: `${NAME}, ${topology}`, topology, rounds: attacks.length, notes },
      ...{ acknowledged: ledger.acknowledged, longestGapMs: worst.recoveryMs },
    },
    audit,
    settling.orphans,
  );
}

/** Waits until everything is answered as usual again. @returns how long it took, in milliseconds */
async function recovered(service: DrillService, ledger: Ledger, attack: string): Promise<number> {
  const startedAt = performance.now();
  for (let attempt = 0; ; attempt += 1) {
    try {
      const { id, name } = await signUpAndIn(service, `Tenant after ${attack} ${attempt}`);
      ledger.created(id, name);
      const ready = await service.request('GET', '/health/ready');
      promise(ready.status === 200, 'ready as soon as it works', kindOf(ready));
      return Math.round(performance.now() - startedAt);
    } catch (error) {
      if (performance.now() - startedAt > 2 * RECOVERY_LIMIT_MS) throw error;
      ledger.unknownNames.add(`Tenant after ${attack} ${attempt}`);
    }
  }
}

async function connectionsOf(node: MongodNode): Promise<number> {
  return (await node.command({ serverStatus: 1 })).connections.current;
}
