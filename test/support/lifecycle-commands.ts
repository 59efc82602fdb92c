import fc, { type AsyncCommand } from 'fast-check';
import { expect } from 'vitest';
import { FAULT_POINTS, type FaultPoint } from '../../src/tenants/lifecycle/fault-points.ts';
import { parseOrganizationName } from '../../src/tenants/organization-name.ts';
import type { BareInstance, Cluster } from './cluster.ts';
import { contradictions } from './database-truth.ts';
import {
  type Answer,
  type Model,
  observationOf,
  observe,
  perform,
  type Request,
} from './lifecycle-model.ts';
import type { ModelClient } from './model-client.ts';

/** An operation whose instance was stopped in the middle of it. */
interface Stopped {
  request: Request;
  /** Whether its end is decided: it had been committed, or recovery has finished or undone it. */
  settled: boolean;
  wakeUp: () => Promise<Answer>;
  /** What it may answer when its instance goes on. */
  answers: readonly Answer[];
}

/** What the model remembers. */
export interface State {
  model: Model;
  stopped: Stopped[];
  /** Owners of organizations that were deleted. */
  gone: string[];
  requests: number;
}

/** What the commands act on. */
export interface Real {
  cluster: Cluster;
  client: ModelClient;
  instances: readonly [BareInstance, BareInstance];
}

type Command = AsyncCommand<State, Real>;
type Kind = Request['kind'];

/** A choice among what there is when the command is run. */
type Pick = <T>(from: readonly T[]) => T;

const COMMITTED: readonly FaultPoint[] = ['create:committed', 'update:committed', 'delete:removed'];
const INTERRUPTED = 'operation_interrupted';
const NAMES = [
  ...[
    'Acme Inc',
    'ACME  inc',
    'Acme-Inc',
    'Аcme Inc',
    'Globex',
    'gLOBEX',
    'Müller GmbH',
    '株式会社',
  ],
];

const aPick = fc.nat(1_000).map(
  (n): Pick =>
    (from) => {
      const picked = from[n % from.length];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
);
const aName = fc.constantFrom(...NAMES);
const anInstance = fc.constantFrom<0 | 1>(0, 1);
const aKind = fc.constantFrom<Kind>('create', 'rename', 'delete', 'insert', 'insert');

/** Organizations that no operation is under way on. */
function atRest({ model, stopped }: State): string[] {
  const busy = stopped.filter(({ settled }) => !settled).map(({ request }) => request.owner);
  return [...model.keys()].filter((owner) => !busy.includes(owner));
}

function requestOf(kind: Kind, state: State, pick: Pick, name: string): Request {
  state.requests += 1;
  if (kind === 'create') return { kind, owner: `owner-${state.requests}@acme.example`, name };
  const owner = pick(atRest(state));
  if (kind === 'rename') {
    return { kind, owner, name, ...pick([{}, { password: `a new password ${state.requests}` }]) };
  }
  return kind === 'delete' ? { kind, owner } : { kind, owner, document: `${state.requests}` };
}

function settle(state: State, { model }: { model: Model }): void {
  state.gone.push(...[...state.model.keys()].filter((owner) => !model.has(owner)));
  state.model = model;
}

/** A request, carried to its end. */
const aRequest = fc
  .record({ kind: aKind, pick: aPick, name: aName, at: anInstance })
  .map(({ kind, pick, name, at }): Command => {
    let text: string = kind;
    return {
      check: (state) => kind === 'create' || atRest(state).length > 0,
      async run(state, { client, instances, cluster }) {
        const request = requestOf(kind, state, pick, name);
        const expected = perform(state.model, request);
        text = `${JSON.stringify(request)} = ${expected.answer}`;
        expect(await client.send(instances[at], request)).toBe(expected.answer);
        settle(state, expected);
        await assertAgreement(state, cluster);
      },
      toString: () => text,
    };
  });

/** A document for an organization that is no more, from somebody who has not heard of it. */
const aLateInsert = fc.record({ pick: aPick, at: anInstance }).map(
  ({ pick, at }): Command => ({
    check: ({ gone }) => gone.length > 0,
    async run(state, { client, instances, cluster }) {
      const request: Request = { kind: 'insert', owner: pick(state.gone), document: 'late' };
      expect(await client.send(instances[at], request)).toBe('organization_not_found');
      await assertAgreement(state, cluster);
    },
    toString: () => 'insert for one that is gone',
  }),
);

/** A request whose instance stops at a fault point, if it comes by. */
const aCrash = fc
  .record({ point: fc.constantFrom(...FAULT_POINTS), pick: aPick, name: aName })
  .map(({ point, pick, name }): Command => {
    const [prefix] = point.split(':');
    const kind = prefix === 'update' ? 'rename' : prefix === 'create' ? 'create' : 'delete';
    let text: string = point;
    return {
      check: (state) => state.stopped.length < 3 && (kind === 'create' || atRest(state).length > 0),
      async run(state, { client, cluster }) {
        const request = requestOf(kind, state, pick, name);
        const expected = perform(state.model, request);
        text = `${JSON.stringify(request)} stopped at ${point}`;
        const instance = cluster.bare();
        const course = await instance.stopper.during({ point }, () =>
          client.send(instance, request),
        );
        if (course.kind === 'ended') {
          text = `${JSON.stringify(request)} = ${expected.answer}`;
          expect(course.result).toBe(expected.answer);
          settle(state, expected);
        } else {
          expect(expected.answer).toBe('ok');
          const settled = COMMITTED.includes(point);
          const { wakeUp } = course;
          state.stopped.push({ request, settled, wakeUp, answers: ['ok'] });
          if (settled) settle(state, expected);
          else state.model = reserved(state.model, request);
        }
        await assertAgreement(state, cluster);
      },
      toString: () => text,
    };
  });

/** Names that an operation under way keeps others from taking. */
function reserved(model: Model, request: Request): Model {
  const organization = model.get(request.owner);
  if (request.kind === 'create') return perform(model, request).model;
  if (request.kind !== 'rename' || organization === undefined) return model;
  const name = parseOrganizationName(request.name);
  return new Map(model).set(request.owner, { ...organization, reserved: name });
}

/** What an operation leaves if it is finished. */
function finished(model: Model, { request }: Stopped): Model {
  const organization = model.get(request.owner);
  if (request.kind === 'create' || organization === undefined) return model;
  const { reserved: taken, ...rest } = organization;
  return perform(new Map(model).set(request.owner, rest), request).model;
}

/** The leases of all that is under way run out, and an instance recovers. */
const aRecovery = anInstance.map(
  (at): Command => ({
    check: () => true,
    async run(state, { cluster, instances }) {
      const left = state.stopped.filter(({ settled }) => !settled);
      await cluster.expireLeases();
      expect(await instances[at].services.recovery.recoverExpired()).toBe(left.length);
      for (const stopped of left) {
        const { kind, owner } = stopped.request;
        const undone = kind === 'create';
        const model = new Map(undone ? state.model : finished(state.model, stopped));
        if (undone) model.delete(owner);
        settle(state, { model });
        stopped.settled = true;
        stopped.answers = undone ? [INTERRUPTED] : ['ok', INTERRUPTED];
      }
      await assertAgreement(state, cluster);
    },
    toString: () => 'recovery',
  }),
);

/** A stopped instance goes on, too late or just in time. */
const aWakeUp = aPick.map((pick): Command => {
  let text = 'wake-up';
  return {
    check: ({ stopped }) => stopped.length > 0,
    async run(state, { cluster }) {
      const stopped = pick(state.stopped);
      text = `wake-up in ${JSON.stringify(stopped.request)}`;
      expect(stopped.answers).toContain(await stopped.wakeUp());
      state.stopped = state.stopped.filter((one) => one !== stopped);
      if (!stopped.settled) settle(state, { model: finished(state.model, stopped) });
      await assertAgreement(state, cluster);
    },
    toString: () => text,
  };
});

/** A sign-in of an owner. */
const aSignIn = fc.record({ pick: aPick, at: anInstance }).map(
  ({ pick, at }): Command => ({
    check: (state) => atRest(state).length > 0,
    async run(state, { client, instances, cluster }) {
      const owner = pick(atRest(state));
      const password = state.model.get(owner)?.password ?? '';
      expect(await client.signIn(instances[at], owner, password)).toBe('ok');
      await assertAgreement(state, cluster);
    },
    toString: () => 'sign-in',
  }),
);

/** A comparison of everything with everything, which finds nothing to mend. */
const aReconciliation = anInstance.map(
  (at): Command => ({
    check: () => true,
    async run(state, { instances, cluster }) {
      const report = await instances[at].services.reconciliation.run();
      expect(Object.values(report)).toEqual([0, 0, 0, 0, 0]);
      await assertAgreement(state, cluster);
    },
    toString: () => 'reconciliation',
  }),
);

/** What can happen, with what happens most named more than once. */
export const LIFECYCLE_COMMANDS = [
  ...[aRequest, aRequest, aRequest, aCrash, aCrash, aRecovery],
  ...[aWakeUp, aLateInsert, aSignIn, aReconciliation],
];

/** Fails unless the database holds what the model does, and, with nothing under way, nothing that contradicts it. */
export async function assertAgreement(state: State, { db }: Cluster): Promise<void> {
  const resting = atRest(state);
  const model = new Map([...state.model].filter(([owner]) => resting.includes(owner)));
  const busy = state.stopped.filter(({ settled }) => !settled).map(({ request }) => request.owner);
  const observed = await observe(db);
  // An organization that is being created has no owner yet.
  const others = observed.filter(({ owner }) => !busy.includes(owner) && !/^nobody/.test(owner));
  expect(others).toEqual(observationOf(model).map(({ password, ...rest }) => rest));
  if (busy.length === 0) expect(await contradictions(db)).toEqual([]);
}
