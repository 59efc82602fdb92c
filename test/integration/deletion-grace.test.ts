import { ObjectId } from 'mongodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { apiOf, bearer, expectProblem, tally } from '../support/api.ts';
import { makeKey, withKey } from '../support/api-keys.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions, placesNaming, uuidOf } from '../support/database-truth.ts';
import { accept, anInvitation, lookUp } from '../support/invitations.ts';
import { aMember } from '../support/members.ts';
import { anOperator, ask, type TestOperator } from '../support/operators.ts';
import { anOrganization } from '../support/organizations.ts';
import { expectStatus, type SignedUp, signUpAndIn, someSignUp } from '../support/test-service.ts';

const DAY_MS = 86_400_000;
const settings = { deleteGraceSeconds: 7 * 86_400 };

let cluster: Cluster;
let service: Instance;
let grace: TestOperator;
beforeAll(async () => {
  cluster = await Cluster.create();
  service = await cluster.instance({ settings });
});
afterEach(async () => {
  expect(await contradictions(cluster.db)).toEqual([]);
});
beforeEach(async () => {
  await cluster.empty();
  grace = await anOperator(service);
});
afterAll(() => cluster[Symbol.asyncDispose]());

type Of = Pick<SignedUp, 'organization'>;

const idOf = ({ organization }: Of) => new ObjectId(organization.id);
const organizations = () => cluster.db.collection('organizations');
const deleteOwn = ({ auth: headers }: SignedUp, by: Instance = service) =>
  apiOf(by).remove({ headers });
const url = ({ organization }: Of, rest = '') => `/orgs/${organization.id}${rest}`;
const remove = (one: Of, rest = '', by: Instance = service) =>
  ask(by, 'DELETE', url(one, rest), grace.auth);
const act = (action: string, one: Of, by: Instance = service) =>
  ask(by, 'POST', url(one, `/${action}`), grace.auth);
const get = (one: Of) => ask(service, 'GET', url(one), grace.auth);
const purge = (by: Instance = service) => by.services.grace.purgeDue();

/** Lets the grace period of everything run out, as time does. */
async function expire(): Promise<void> {
  const past = { 'deletion.purge_at': new Date(Date.now() - 1_000) };
  await organizations().updateMany({ state: 'deleted' }, { $set: past });
}

/** Everything but what reading and signing in leave behind. */
async function kept() {
  const { sessions, rate_limits, operators, operator_sessions, ...rest } = await cluster.contents();
  const organizations = rest.organizations?.map(({ version, updated_at, ...one }) => one);
  const admins = rest.admins?.map(({ last_organization_id, ...one }) => one);
  return { ...rest, organizations, admins };
}

describe('a deleted organization, in its grace period,', () => {
  test('answers nothing, and says until when it can be had back', async () => {
    const acme = await anOrganization(service);
    const member = await aMember(service, acme, 'viewer');
    const key = await makeKey(service, acme.auth, ['org:read']);
    const { token } = await anInvitation(service, acme);
    const answer = expectStatus(await deleteOwn(acme), 200).json();
    const about = Date.now() + 7 * DAY_MS;
    expect(answer).toMatchObject({ id: acme.organization.id, status: 'deleted' });
    expect(Math.abs(Date.parse(answer.purge_at) - about)).toBeLessThan(60_000);

    const api = apiOf(service);
    const { organization_name } = acme.organization;
    expectProblem(await api.get(organization_name), 404, 'organization_not_found');
    for (const headers of [acme.auth, member.auth, withKey(key)])
      expectProblem(await api.get(undefined, { headers }), 401, 'invalid_token');
    expectProblem(await api.refresh(acme.tokens.refresh_token), 401, 'invalid_refresh_token');
    expectProblem(await api.login(acme.signUp), 404, 'organization_not_found');
    const { email, password } = acme.signUp;
    expectProblem(await api.login({ email, password }), 401, 'invalid_credentials');
    expectProblem(await lookUp(service, { token }), 404, 'invitation_not_found');
    const guest = { token, password: 'a password of a guest' };
    expectProblem(await accept(service, guest), 404, 'invitation_not_found');
    expectProblem(await deleteOwn(acme), 401, 'invalid_token');
  });

  test('keeps its name, its members and all that is in it', async () => {
    const acme = await anOrganization(service);
    const { collection_name, organization_name } = acme.organization;
    const uuid = await uuidOf(cluster.db, collection_name);
    const before = await kept();
    expectStatus(await deleteOwn(acme), 200);
    const taken = await apiOf(service).create(someSignUp({ organization_name }));
    expectProblem(taken, 409, 'organization_name_taken');
    expect(await uuidOf(cluster.db, collection_name)).toBe(uuid);
    const { organizations: _, ...rest } = before;
    expect(await kept()).toMatchObject(rest);
    expect(await cluster.db.collection('sessions').countDocuments()).toBe(0);
    await service.services.reconciliation.run();
    await service.services.recovery.recoverExpired();
    expect(await purge()).toBe(0);
    expect(await kept()).toMatchObject(rest);
  });

  test('comes back with everything but its sessions when it is restored', async () => {
    const acme = await anOrganization(service);
    const member = await aMember(service, acme, 'editor');
    const key = await makeKey(service, acme.auth, ['org:read']);
    const { token } = await anInvitation(service, acme);
    const before = await kept();
    expectStatus(await deleteOwn(acme), 200);
    const restored = expectStatus(await act('restore', acme), 200).json();
    expect(restored).toMatchObject({ status: 'active', members: 2, purge_at: null });
    expect(await kept()).toEqual(before);

    const api = apiOf(service);
    for (const headers of [acme.auth, member.auth])
      expectProblem(await api.get(undefined, { headers }), 401, 'invalid_token');
    expectStatus(await api.get(undefined, { headers: withKey(key) }), 200);
    expectStatus(await lookUp(service, { token }), 200);
    for (const { email, password } of [acme.signUp, member])
      expectStatus(await api.login({ email, password }), 200);
    expect(expectStatus(await act('restore', acme), 200).json()).toEqual(restored);
    const signedIn = bearer(expectStatus(await api.login(acme.signUp), 200).json());
    const { organization_name } = someSignUp();
    expectStatus(await api.update({ organization_name }, signedIn), 200);
  });

  test('is listed as deleted, and not to be acted on', async () => {
    const acme = await anOrganization(service);
    expectStatus(await remove(acme), 200);
    const list = await ask(service, 'GET', '/orgs?status=deleted', grace.auth);
    const { purge_at, ...one } = expectStatus(list, 200).json().data[0];
    expect(one).toMatchObject({ id: acme.organization.id, status: 'deleted' });
    expect(expectStatus(await get(acme), 200).json()).toMatchObject({
      status: 'deleted',
      purge_at,
    });
    // Again is no later.
    expect(expectStatus(await remove(acme), 200).json().purge_at).toBe(purge_at);
    for (const action of ['suspend', 'resume'])
      expectProblem(await act(action, acme), 409, 'organization_deleted');
    const change = await ask(service, 'PATCH', url(acme), grace.auth, { metadata: {} });
    expectProblem(change, 409, 'organization_deleted');
  });

  test('is suspended again if it was', async () => {
    const acme = await anOrganization(service);
    const suspended = expectStatus(await act('suspend', acme), 200).json();
    expectStatus(await remove(acme), 200);
    const { headers } = { headers: acme.auth };
    expectProblem(await apiOf(service).get(undefined, { headers }), 401, 'invalid_token');
    const restored = expectStatus(await act('restore', acme), 200).json();
    expect(restored).toMatchObject({ status: 'suspended', suspension: suspended.suspension });
  });

  test('leaves a person of other organizations alone', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const globex = await signUpAndIn(service, { email, password });
    expectStatus(await deleteOwn(globex), 200);
    const signedIn = expectStatus(await apiOf(service).login({ email, password }), 200).json();
    expect(signedIn.organizations.map(({ id }: { id: string }) => id)).toEqual([
      acme.organization.id,
    ]);
    const { headers } = { headers: acme.auth };
    expectStatus(await apiOf(service).get(undefined, { headers }), 200);
    expectStatus(await deleteOwn(acme), 200);
    await signUpAndIn(service, { email, password });
  });

  test('can be purged at once by an operator', async () => {
    const [acme, globex] = [await anOrganization(service), await anOrganization(service)];
    expectStatus(await deleteOwn(acme), 200);
    for (const one of [acme, globex]) {
      expect(expectStatus(await remove(one, '?purge=true'), 200).json().purge_at).toBeNull();
      expect(await placesNaming(cluster.db, one.organization.id, one.signUp.email)).toEqual([]);
    }
    expectProblem(await act('restore', acme), 404, 'organization_not_found');
    expectProblem(await remove(acme, '?purge=perhaps'), 400, 'invalid_querystring');
  });
});

describe('at the end of the grace period', () => {
  test('nothing is left, and the name is free', async () => {
    const acme = await anOrganization(service);
    await makeKey(service, acme.auth, ['org:read']);
    expectStatus(await deleteOwn(acme), 200);
    expect(await purge()).toBe(0);
    await expire();
    expectProblem(await act('restore', acme), 409, 'grace_period_over');
    expect(await purge()).toBe(1);
    expect(await placesNaming(cluster.db, acme.organization.id, acme.signUp.email)).toEqual([]);
    expectProblem(await get(acme), 404, 'organization_not_found');
    expectProblem(await act('restore', acme), 404, 'organization_not_found');
    await signUpAndIn(service, acme.signUp);
  });

  test('any number of instances purge each once', async () => {
    const others = await Promise.all([
      cluster.instance({ settings }),
      cluster.instance({ settings }),
    ]);
    for (let n = 0; n < 3; n += 1)
      expectStatus(await deleteOwn(await anOrganization(service)), 200);
    await expire();
    const counts = await Promise.all([service, ...others, service].map((one) => purge(one)));
    expect(counts.reduce((sum, count) => sum + count)).toBe(3);
    expect(await organizations().countDocuments()).toBe(0);
  });
});

describe('at the same time', () => {
  test('a restoration and the purge: it is back, whole, or gone', async () => {
    for (let round = 0; round < 6; round += 1) {
      const acme = await anOrganization(service);
      expectStatus(await deleteOwn(acme), 200);
      const until = new Date(Date.now() + 5);
      await organizations().updateOne(
        { _id: idOf(acme) },
        { $set: { 'deletion.purge_at': until } },
      );
      const [restored, purged] = await Promise.all([act('restore', acme), purge()]);
      const found = await get(acme);
      if (restored.statusCode === 200) {
        expect(purged).toBe(0);
        expect(expectStatus(found, 200).json().status).toBe('active');
        expectStatus(await apiOf(service).login(acme.signUp), 200);
      } else if (found.statusCode === 200) {
        await expire();
        expect(await purge()).toBe(1);
      }
      expect(await contradictions(cluster.db)).toEqual([]);
    }
  });

  test('deletions and restorations leave one or the other', async () => {
    const acme = await anOrganization(service);
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, n) => (n % 2 === 0 ? remove(acme) : act('restore', acme))),
      );
      expect(
        Object.keys(tally(answers)).filter((one) => !/^200|^409 organization_busy/.test(one)),
      ).toEqual([]);
      expect(await contradictions(cluster.db)).toEqual([]);
    }
    expectStatus(await act('restore', acme), 200);
    expectStatus(await apiOf(service).login(acme.signUp), 200);
  });

  test('sign-ins give nothing that opens anything, now or after a restoration', async () => {
    for (let round = 0; round < 4; round += 1) {
      const acme = await anOrganization(service);
      const logins = Array.from({ length: 5 }, () => apiOf(service).login(acme.signUp));
      const [deleted, ...answers] = await Promise.all([deleteOwn(acme), ...logins]);
      expectStatus(deleted, 200);
      expectStatus(await act('restore', acme), 200);
      for (const answer of answers) {
        if (answer.statusCode !== 200) continue;
        const { headers } = bearer(answer.json());
        expectProblem(await apiOf(service).get(undefined, { headers }), 401, 'invalid_token');
      }
    }
  });
});

describe('an instance that stops', () => {
  test.each(['grace:marked', 'grace:sessions-ended'] as const)(
    'at %s has deleted it, and it can be restored, without its sessions',
    async (point) => {
      const acme = await anOrganization(service);
      const other = await cluster.instance({ settings });
      await other.stopper.during({ point }, () => deleteOwn(acme, other));
      const { headers } = { headers: acme.auth };
      expectProblem(await apiOf(service).get(undefined, { headers }), 401, 'invalid_token');
      expect(await service.services.recovery.recoverExpired()).toBe(0);
      expectStatus(await act('restore', acme), 200);
      expectProblem(await apiOf(service).get(undefined, { headers }), 401, 'invalid_token');
      expectStatus(await apiOf(service).login(acme.signUp), 200);
      await other.stopper.release();
    },
  );

  test.each([
    ['restore:sessions-ended', 'deleted'],
    ['restore:committed', 'active'],
  ] as const)('at %s leaves it %s, and restoring can be repeated', async (point, status) => {
    const acme = await anOrganization(service);
    expectStatus(await deleteOwn(acme), 200);
    const other = await cluster.instance({ settings });
    await other.stopper.during({ point }, () => act('restore', acme, other));
    expect(expectStatus(await get(acme), 200).json().status).toBe(status);
    expectStatus(await act('restore', acme), 200);
    expectStatus(await apiOf(service).login(acme.signUp), 200);
    await other.stopper.release();
    expect(expectStatus(await get(acme), 200).json().status).toBe('active');
  });

  test.each([
    'delete:marked',
    'delete:collection-dropped',
    'delete:sessions-ended',
    'delete:account-removed',
    'delete:membership-removed',
    'delete:belongings-erased',
  ] as const)('at %s of the purge has another finish it', async (point) => {
    const acme = await anOrganization(service);
    expectStatus(await deleteOwn(acme), 200);
    await expire();
    const other = await cluster.instance({ settings });
    await other.stopper.during({ point }, () => purge(other));
    expectProblem(await act('restore', acme), 409, 'organization_busy');
    await cluster.expireLeases();
    expect(await service.services.recovery.recoverExpired()).toBe(1);
    expect(await placesNaming(cluster.db, acme.organization.id, acme.signUp.email)).toEqual([]);
    await other.stopper.release();
    expect(await contradictions(cluster.db)).toEqual([]);
  });

  test('of every answer to a deletion has deleted it, or not', async () => {
    for (let reply = 1; reply <= 12; reply += 1) {
      const acme = await anOrganization(service);
      const other = await cluster.instance({ settings });
      const course = await other.stopper.during({ reply }, () => remove(acme, '', other));
      const state = (await organizations().findOne({ _id: idOf(acme) }))?.state;
      expect(['active', 'deleted']).toContain(state);
      expect(await contradictions(cluster.db)).toEqual([]);
      if (course.kind === 'ended') break;
      expectStatus(await course.wakeUp(), 200);
      expect((await organizations().findOne({ _id: idOf(acme) }))?.state).toBe('deleted');
    }
  });
});
