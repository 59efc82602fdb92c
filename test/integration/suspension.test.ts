import { ObjectId } from 'mongodb';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { apiOf, bearer, expectProblem, pathsOf, tally } from '../support/api.ts';
import { makeKey, withKey } from '../support/api-keys.ts';
import { contentsOf, contradictions } from '../support/database-truth.ts';
import { accept, anInvitation, lookUp } from '../support/invitations.ts';
import { anOperator, ask, type TestOperator } from '../support/operators.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

// Two instances on one database.
let service: TestService;
let second: TestService;
let grace: TestOperator;
beforeAll(async () => {
  service = await startTestService();
  const { masterDatabase: database } = service.settings;
  second = await startTestService({ database, clock: service.clock });
  grace = await anOperator(service);
  return async () => {
    await second[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
  };
});
afterEach(async () => {
  expect(await contradictions(service.db)).toEqual([]);
});

type Of = Pick<SignedUp, 'organization'>;

const act = (action: string, { organization }: Of, body?: object, by = service) =>
  ask(by, 'POST', `/orgs/${organization.id}/${action}`, grace.auth, body);
const suspend = async (one: Of, body?: object) =>
  expectStatus(await act('suspend', one, body), 200).json();
const resume = async (one: Of) => expectStatus(await act('resume', one), 200).json();
const get = async ({ organization }: Of) =>
  expectStatus(await ask(service, 'GET', `/orgs/${organization.id}`, grace.auth), 200).json();
const remove = ({ organization }: Of, by = service) =>
  ask(by, 'DELETE', `/orgs/${organization.id}`, grace.auth);
const api = () => apiOf(service);
const newName = () => someSignUp().organization_name;

/** Two organizations of one person, both of which they are signed in to. */
async function twoOfOne() {
  const acme = await signUpAndIn(service);
  const { email, password } = acme.signUp;
  return { acme, globex: await signUpAndIn(service, { email, password }) };
}

describe('a suspended organization', () => {
  test('refuses everything of it, keeps everything, and has it again when it is resumed', async () => {
    const acme = await signUpAndIn(service);
    const key = await makeKey(service, acme.auth, ['org:read']);
    const { token } = await anInvitation(service, acme);
    const { headers } = { headers: acme.auth };
    const { organizations: _, ...before } = await contentsOf(service.db);
    const shown = await suspend(acme, { reason: 'Unpaid since March' });
    expect(shown).toMatchObject({
      status: 'suspended',
      suspension: {
        reason: 'Unpaid since March',
        at: service.clock.now().toISOString(),
        operator_id: expect.stringMatching(/^[0-9a-f]{24}$/),
      },
    });

    const refused = [
      await api().get(undefined, { headers }),
      await api().update({ organization_name: newName() }, { headers }),
      await api().remove({ headers }),
      await api().get(undefined, { headers: withKey(key) }),
      await api().refresh(acme.tokens.refresh_token),
      await api().login(acme.signUp),
      await api().me({ headers }),
      await lookUp(service, { token }),
      await accept(service, { token, password: 'a password of a guest' }),
    ];
    for (const answer of refused) expectProblem(answer, 403, 'organization_suspended');
    const { organizations: __, rate_limits: ___, ...after } = await contentsOf(service.db);
    const { rate_limits: ____, ...kept } = before;
    expect(after).toEqual(kept);

    expect(await resume(acme)).toMatchObject({ status: 'active', suspension: null });
    expectStatus(await api().get(undefined, { headers }), 200);
    expectStatus(await api().get(undefined, { headers: withKey(key) }), 200);
    expectStatus(await api().refresh(acme.tokens.refresh_token), 200);
    expectStatus(await api().login(acme.signUp), 200);
    expectStatus(await lookUp(service, { token }), 200);
    const { organization_name } = someSignUp();
    expectStatus(await api().update({ organization_name }, { headers }), 200);
  });

  test('says so to everybody who looks it up', async () => {
    const acme = await signUpAndIn(service);
    await suspend(acme);
    const { organization_name } = acme.organization;
    const found = expectStatus(await api().get(organization_name), 200).json();
    expect(found).toMatchObject({ id: acme.organization.id, status: 'suspended' });
    expect(JSON.stringify(found)).not.toContain('suspension');
  });

  test('keeps its name from others', async () => {
    const acme = await signUpAndIn(service);
    await suspend(acme);
    const { organization_name } = acme.organization;
    const taken = await api().create(someSignUp({ organization_name }));
    expectProblem(taken, 409, 'organization_name_taken');
  });

  test('keeps nobody from their other organizations', async () => {
    const { acme, globex } = await twoOfOne();
    await suspend(globex);
    const { email, password } = acme.signUp;
    const signedIn = expectStatus(await api().login({ email, password }), 200).json();
    expect(signedIn.organization.id).toBe(acme.organization.id);
    const to = { organization_id: globex.organization.id };
    const switched = await service.app.inject({
      ...{ method: 'POST', url: '/admin/switch', headers: acme.auth, payload: to },
    });
    expectProblem(switched, 403, 'organization_suspended');
    expectStatus(await api().get(undefined, { headers: acme.auth }), 200);
  });

  test('is refused by other instances within a second, and is there again within one', async () => {
    const acme = await signUpAndIn(service);
    const key = await makeKey(service, acme.auth, ['org:read']);
    const asked = async () => {
      service.clock.advance(1_000);
      return [
        await apiOf(second).get(undefined, { headers: acme.auth }),
        await apiOf(second).get(undefined, { headers: withKey(key) }),
      ];
    };
    for (const answer of await asked()) expectStatus(answer, 200);
    await suspend(acme);
    for (const answer of await asked()) expectProblem(answer, 403, 'organization_suspended');
    await resume(acme);
    for (const answer of await asked()) expectStatus(answer, 200);
  });

  test('is suspended once, and resumed once', async () => {
    const acme = await signUpAndIn(service);
    const first = await suspend(acme, { reason: 'Abuse' });
    service.clock.advance(60_000);
    expect(await suspend(acme)).toEqual(first);
    expect(await suspend(acme, { reason: 'Abuse' })).toEqual(first);
    const other = await suspend(acme, { reason: 'Fraud' });
    expect(other.suspension).toEqual({ ...first.suspension, reason: 'Fraud' });
    expect((await suspend(acme, { reason: null })).suspension.reason).toBeNull();
    const resumed = await resume(acme);
    expect(resumed.status).toBe('active');
    service.clock.advance(60_000);
    expect(await resume(acme)).toEqual(resumed);
  });

  test('can be changed and deleted by operators', async () => {
    const acme = await signUpAndIn(service);
    await suspend(acme, { reason: 'Abuse' });
    const url = `/orgs/${acme.organization.id}`;
    const changed = await ask(service, 'PATCH', url, grace.auth, { metadata: { plan: 'none' } });
    expect(expectStatus(changed, 200).json()).toMatchObject({
      ...{ status: 'suspended', suspension: { reason: 'Abuse' }, metadata: { plan: 'none' } },
    });
    expect(expectStatus(await remove(acme), 200).json()).toMatchObject({
      ...{ id: acme.organization.id, status: 'deleted', purge_at: null },
    });
    expectProblem(await ask(service, 'GET', url, grace.auth), 404, 'organization_not_found');
    expectProblem(
      await api().get(acme.organization.organization_name),
      404,
      'organization_not_found',
    );
    await signUpAndIn(service, acme.signUp);
  });

  test.each([
    [{ reason: '' }, '/reason'],
    [{ reason: '   ' }, '/reason'],
    [{ reason: 'x'.repeat(501) }, '/reason'],
    [{ reason: 'a\u202eb' }, '/reason'],
    [{ reason: { $gt: '' } }, '/reason'],
    [{ state: 'active' }, '/state'],
  ])('is not suspended with %j', async (body, path) => {
    const acme = await signUpAndIn(service);
    const problem = expectProblem(await act('suspend', acme, body), 422, 'validation_failed');
    expect(pathsOf(problem)).toEqual([path]);
    expect((await get(acme)).status).toBe('active');
  });
});

test.each(['suspend', 'resume'])('what does not exist cannot %s', async (action) => {
  const none = {
    organization: { ...someSignUp(), id: new ObjectId().toHexString(), collection_name: '' },
  };
  expectProblem(await act(action, none), 404, 'organization_not_found');
  const odd = await ask(service, 'POST', `/orgs/x/${action}`, grace.auth);
  expectProblem(odd, 400, 'invalid_params');
});

describe('at the same time as a suspension', () => {
  const ROUNDS = 4;

  test('sign-ins give nothing that opens anything', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const acme = await signUpAndIn(service);
      const logins = Array.from({ length: 6 }, (_, n) =>
        apiOf(n % 2 === 0 ? service : second).login(acme.signUp),
      );
      const [, ...answers] = await Promise.all([suspend(acme), ...logins]);
      service.clock.advance(1_000);
      for (const answer of answers) {
        if (answer.statusCode !== 200) expectProblem(answer, 403, 'organization_suspended');
        else {
          const headers = bearer(answer.json()).headers;
          for (const by of [service, second])
            expectProblem(
              await apiOf(by).get(undefined, { headers }),
              403,
              'organization_suspended',
            );
        }
      }
    }
  });

  test('a rename takes place before it, or not at all', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const acme = await signUpAndIn(service);
      const organization_name = newName();
      const { headers } = { headers: acme.auth };
      const [suspended, renamed] = await Promise.all([
        act('suspend', acme),
        apiOf(second).update({ organization_name }, { headers }),
      ]);
      expectStatus(suspended, 200);
      const shown = await get(acme);
      expect(shown.status).toBe('suspended');
      // A commit whose answer was made after the suspension is told of as suspended.
      const took = shown.organization_name === organization_name;
      if (renamed.statusCode === 200) expect(took).toBe(true);
      else if (!took) expectProblem(renamed, 403, 'organization_suspended');
    }
  });

  test('a deletion takes place, or is refused', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const acme = await signUpAndIn(service);
      const [suspended, deleted] = await Promise.all([
        act('suspend', acme),
        apiOf(second).remove({ headers: acme.auth }),
      ]);
      const url = `/orgs/${acme.organization.id}`;
      const found = await ask(service, 'GET', url, grace.auth);
      if (deleted.statusCode === 200) expectProblem(found, 404, 'organization_not_found');
      else {
        expectProblem(deleted, 403, 'organization_suspended');
        expectStatus(suspended, 200);
        expect(found.json().status).toBe('suspended');
      }
    }
  });

  test('a deletion by another operator takes place once', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const acme = await signUpAndIn(service);
      const answers = await Promise.all([
        remove(acme),
        remove(acme, second),
        act('suspend', acme, {}, second),
      ]);
      expect(tally(answers.slice(0, 2))['200']).toBe(1);
      const url = `/orgs/${acme.organization.id}`;
      expectProblem(await ask(service, 'GET', url, grace.auth), 404, 'organization_not_found');
    }
  });

  test('other suspensions and resumptions leave one or the other', async () => {
    const acme = await signUpAndIn(service);
    for (let round = 0; round < ROUNDS; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, n) =>
          act(n % 2 === 0 ? 'suspend' : 'resume', acme, undefined, n % 3 === 0 ? service : second),
        ),
      );
      expect(
        Object.keys(tally(answers)).filter((one) => !/^200|^409 organization_busy/.test(one)),
      ).toEqual([]);
      const shown = await get(acme);
      expect(shown.suspension === null).toBe(shown.status === 'active');
      service.clock.advance(1_000);
      const answer = await apiOf(second).get(undefined, { headers: acme.auth });
      expect(answer.statusCode).toBe(shown.status === 'active' ? 200 : 403);
    }
  });
});

describe('what operators set', () => {
  const change = ({ organization }: Of, body: unknown) =>
    ask(service, 'PATCH', `/orgs/${organization.id}`, grace.auth, body);

  test('replaces what there was, and leaves the rest', async () => {
    const acme = await signUpAndIn(service);
    expect(await get(acme)).toMatchObject({
      ...{ quota: {}, metadata: {}, members: 1, status: 'active', suspension: null },
      owner: { email: acme.signUp.email },
    });
    const quota = { max_records: 10, max_bytes: null };
    expectStatus(await change(acme, { quota }), 200);
    expectStatus(await change(acme, { metadata: { plan: 'team' } }), 200);
    expect(await get(acme)).toMatchObject({ quota, metadata: { plan: 'team' } });
    const other = expectStatus(await change(acme, { quota: { max_members: 0 } }), 200).json();
    expect(other.quota).toEqual({ max_members: 0 });
    expect(expectStatus(await change(acme, { quota: null }), 200).json().quota).toEqual({});
    const seen = await api().get(undefined, { headers: acme.auth });
    expect(expectStatus(seen, 200).json().metadata).toEqual({ plan: 'team' });
  });

  test('outlives a rename', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await change(acme, { quota: { max_records: 7 } }), 200);
    const { headers } = { headers: acme.auth };
    const organization_name = newName();
    expectStatus(await api().update({ organization_name }, { headers }), 200);
    expect(await get(acme)).toMatchObject({ organization_name, quota: { max_records: 7 } });
    const url = `/orgs?q=${encodeURIComponent(organization_name)}`;
    const found = expectStatus(await ask(service, 'GET', url, grace.auth), 200).json().data;
    expect(found.map(({ id }: { id: string }) => id)).toEqual([acme.organization.id]);
  });

  test.each([
    [{}, ['']],
    [{ quota: { max_records: -1 } }, ['/quota/max_records']],
    [{ quota: { max_records: 1.5 } }, ['/quota/max_records']],
    [{ quota: { max_records: '10' } }, ['/quota/max_records']],
    [{ quota: { max_records: 2 ** 53 } }, ['/quota/max_records']],
    [{ quota: { max_records: { $gt: 1 } } }, ['/quota/max_records']],
    [{ quota: { most: 1 } }, ['/quota/most']],
    [{ quota: [] }, ['/quota']],
    [{ metadata: null }, ['/metadata']],
    [{ metadata: { a: 'x'.repeat(17_000) } }, ['/metadata']],
    [{ state: 'suspended' }, ['/state']],
    [{ organization_name: 'Other' }, ['/organization_name']],
  ])('is not %j', async (body, paths) => {
    const acme = await signUpAndIn(service);
    const problem = expectProblem(await change(acme, body), 422, 'validation_failed');
    expect(pathsOf(problem)).toEqual(paths);
    expect(await get(acme)).toMatchObject({ quota: {}, metadata: {} });
  });
});
