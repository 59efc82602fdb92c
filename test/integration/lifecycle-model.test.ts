import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import {
  assertAgreement,
  LIFECYCLE_COMMANDS,
  type Real,
  type State,
} from '../support/lifecycle-commands.ts';
import { perform, type Request } from '../support/lifecycle-model.ts';
import { ModelClient } from '../support/model-client.ts';

/** `MODEL_RUNS` for more than CI takes the time for; `MODEL_SEED` for others than the ones CI repeats. */
const { MODEL_RUNS = '40', MODEL_SEED = '2039' } = process.env;

const FIRST: readonly Request[] = [
  { kind: 'create', owner: 'ada@acme.example', name: 'Acme Inc' },
  { kind: 'create', owner: 'bob@globex.example', name: 'Globex' },
];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create();
  return () => cluster[Symbol.asyncDispose]();
});

test('does what the model does, whatever happens in whatever order', {
  timeout: 600_000,
}, async () => {
  const property = fc.asyncProperty(
    fc.commands(LIFECYCLE_COMMANDS, { maxCommands: 40, size: 'max' }),
    async (commands) => {
      await cluster.empty();
      const state: State = { model: new Map(), stopped: [], gone: [], requests: 0 };
      const real: Real = {
        cluster,
        client: new ModelClient(cluster.db),
        instances: [cluster.bare(), cluster.bare()],
      };
      for (const request of FIRST) {
        expect(await real.client.send(real.instances[0], request)).toBe('ok');
        state.model = perform(state.model, request).model;
      }
      try {
        await fc.asyncModelRun(() => ({ model: state, real }), commands);
        await assertAgreement(state, cluster);
      } finally {
        for (const { wakeUp } of state.stopped) await wakeUp();
      }
    },
  );
  await fc.assert(property, { seed: Number(MODEL_SEED), numRuns: Number(MODEL_RUNS) });
});
