import type { LightMyRequestResponse } from 'fastify';
import { expect } from 'vitest';
import type { FaultPoint } from '../../src/tenants/lifecycle/fault-points.ts';
import type { Instance } from './cluster.ts';
import type { Instant } from './crash.ts';
import { uuidOf } from './database-truth.ts';
import { type Contents, gist, grownBy } from './gist.ts';
import { addMember, anOrganization, type SignUp, signsIn } from './organizations.ts';
import { signUpAndIn, someSignUp } from './test-service.ts';

/** One lifecycle operation about to happen, in a database that holds other things as well. */
export interface Attempt {
  act(instance: Instance): Promise<LightMyRequestResponse>;
  /** Fails unless everything that was asked for is there, and nothing else has changed. */
  assertDone(): Promise<void>;
  /** What {@link gist} gave before. */
  before: Contents;
  /** What the owner signs in with once it is done. */
  signUp: SignUp;
  /** What they signed in with before; the same for a creation. */
  was: SignUp;
  /** A token that the operation leaves alone; not for a creation. */
  auth: { authorization?: string };
  /** The collection that the organization will have; for a deletion, the one it had. */
  target: string;
  /** Names that are somebody's once it is done, and names that are nobody's. */
  names: { held: string; freed?: string };
}

/** A kind of lifecycle operation. */
export interface Scenario {
  name: string;
  kind: 'create' | 'update' | 'delete';
  /** What recovery makes of it before its commit. */
  recovered: 'undone' | 'finished';
  /** Every fault point it reaches, in order; `visit` where it comes by more than once. */
  instants: readonly Extract<Instant, { point: FaultPoint }>[];
  prepare(by: Instance): Promise<Attempt>;
}

const at = (...points: FaultPoint[]) => points.map((point) => ({ point }));

const CREATION = at(
  'create:reserved',
  'create:collection-created',
  'create:collection-recorded',
  'create:admin-inserted',
  'create:membership-inserted',
  'create:membership-counted',
  'create:committed',
);

export const createWithNewAccount: Scenario = {
  name: 'a creation with a new account',
  kind: 'create',
  recovered: 'undone',
  instants: CREATION,
  prepare: async (by) => creation(by, someSignUp()),
};

export const createWithExistingAccount: Scenario = {
  name: 'a creation by somebody who has an account',
  kind: 'create',
  recovered: 'undone',
  instants: CREATION,
  prepare: async (by) => {
    const { signUp } = await signUpAndIn(by);
    const { email, password } = signUp;
    return creation(by, someSignUp({ email, password }));
  },
};

async function creation(by: Instance, signUp: SignUp) {
  await anOrganization(by);
  const before = await gist(by.db);
  const accounts = before.admins?.filter(({ email }) => email === signUp.email).length ?? 0;
  return {
    before,
    signUp,
    was: signUp,
    auth: {},
    target: collectionName(signUp.organization_name),
    names: { held: signUp.organization_name },
    act: ({ app }: Instance) => app.inject({ method: 'POST', url: '/org/create', payload: signUp }),
    assertDone: async () => {
      const after = await gist(by.db);
      expect(grownBy(before, after)).toEqual({
        [collectionName(signUp.organization_name)]: 0,
        organizations: 1,
        memberships: 1,
        ...(accounts === 0 && { admins: 1 }),
      });
      await signsIn(by, signUp);
    },
  };
}

export const updateOfEverything: Scenario = {
  name: 'a rename with new credentials',
  kind: 'update',
  recovered: 'finished',
  instants: at(
    'update:reserved',
    'update:credentials-changed',
    'update:collection-renamed',
    'update:sessions-ended',
    'update:committed',
  ),
  prepare: (by) => {
    const { organization_name, email, password } = someSignUp({ password: 'a new password 4711' });
    return update(by, { organization_name, email, password, external_id: email });
  },
};

export const updateWithoutMove: Scenario = {
  name: 'another spelling and a new e-mail address',
  kind: 'update',
  recovered: 'finished',
  instants: at('update:reserved', 'update:credentials-changed', 'update:committed'),
  prepare: (by) => update(by, { email: someSignUp().email }),
};

export const rename: Scenario = {
  name: 'a rename',
  kind: 'update',
  recovered: 'finished',
  instants: at('update:reserved', 'update:collection-renamed', 'update:committed'),
  prepare: (by) => update(by, { organization_name: someSignUp().organization_name }),
};

async function update(
  by: Instance,
  change: Partial<Record<'organization_name' | 'email' | 'password' | 'external_id', string>>,
): Promise<Attempt> {
  await anOrganization(by);
  const { signUp, organization, auth } = await anOrganization(by);
  await signsIn(by, signUp);
  const { app, db } = by;
  const held = change.organization_name ?? organization.organization_name.toUpperCase();
  const payload = { metadata: { plan: 'gold' }, ...change, organization_name: held };
  const { email: newEmail, password: newPassword, ...own } = payload;
  const email = newEmail ?? signUp.email;
  const credentials = {
    ...{ email, password: newPassword ?? signUp.password },
    organization_name: held,
  };
  const before = await gist(db);
  const uuid = await uuidOf(db, organization.collection_name);
  const freed = change.organization_name === undefined ? {} : { freed: signUp.organization_name };
  return {
    before,
    signUp: credentials,
    was: signUp,
    auth,
    target: collectionName(held),
    names: { held, ...freed },
    act: (instance) =>
      instance.app.inject({ method: 'PUT', url: '/org/update', headers: auth, payload }),
    assertDone: async () => {
      const found = await app.inject({ url: '/org/get', headers: auth });
      expect(found.json()).toMatchObject({ ...own, admin: { email }, status: 'active' });
      const { collection_name } = found.json();
      expect(await uuidOf(db, collection_name)).toBe(uuid);
      const after = await gist(db);
      expect(after[collection_name]).toEqual(before[organization.collection_name]);
      expect(Object.keys(after)).toHaveLength(Object.keys(before).length);
      expect(after.sessions).toHaveLength(
        (before.sessions?.length ?? 0) - (newPassword === undefined ? 0 : 1),
      );
      await signsIn(by, credentials);
    },
  };
}

/** The owner belongs to another organization too; the other member to none. */
export const deletion: Scenario = {
  name: 'a deletion',
  kind: 'delete',
  recovered: 'finished',
  instants: [
    ...at('delete:marked', 'delete:collection-dropped', 'delete:sessions-ended'),
    { point: 'delete:account-removed', visit: 1 },
    { point: 'delete:membership-removed', visit: 1 },
    { point: 'delete:account-removed', visit: 2 },
    { point: 'delete:membership-removed', visit: 2 },
    ...at('delete:belongings-erased', 'delete:removed'),
  ],
  prepare: async (by) => {
    const { signUp: elsewhere } = await anOrganization(by);
    const { email, password } = elsewhere;
    const done = await gist(by.db);
    const doomed = await anOrganization(by, { email, password });
    await addMember(by, doomed);
    return {
      before: await gist(by.db),
      signUp: doomed.signUp,
      was: doomed.signUp,
      auth: doomed.auth,
      target: doomed.organization.collection_name,
      names: { held: elsewhere.organization_name, freed: doomed.signUp.organization_name },
      act: ({ app }) => app.inject({ method: 'DELETE', url: '/org/delete', headers: doomed.auth }),
      assertDone: async () => expect(await gist(by.db)).toEqual(done),
    };
  },
};

export const SCENARIOS: readonly Scenario[] = [
  createWithNewAccount,
  createWithExistingAccount,
  updateOfEverything,
  updateWithoutMove,
  rename,
  deletion,
];

/**
 * Carries an attempt to an instant and leaves it there, as a crash does.
 *
 * @returns lets it go on after all, as an instance that was paused does, and gives its answer
 */
export async function stopAt(
  instance: Instance,
  instant: Instant,
  { act }: Pick<Attempt, 'act'>,
): Promise<() => Promise<LightMyRequestResponse>> {
  const course = await instance.stopper.during(instant, () => act(instance));
  if (course.kind === 'ended') throw new Error(`ended without it: ${course.result.body}`);
  return course.wakeUp;
}

function collectionName(organizationName: string): string {
  return `org_${organizationName.toLowerCase().replaceAll(' ', '_')}`;
}
