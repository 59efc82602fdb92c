import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem, pathsOf } from '../support/api.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let api: Api;
let acme: SignedUp;
let globex: SignedUp;
beforeAll(async () => {
  service = await startTestService();
  api = apiOf(service);
  acme = await signUpAndIn(service);
  globex = await signUpAndIn(service);
});
afterAll(() => service[Symbol.asyncDispose]());

/** Sets fields of an organization behind the service's back. */
function set(one: SignedUp, fields: object): Promise<unknown> {
  const _id = new ObjectId(one.organization.id);
  return service.db.collection('organizations').updateOne({ _id }, { $set: fields });
}

function publicAnswer({ organization }: SignedUp) {
  return {
    id: organization.id,
    organization_name: organization.organization_name,
    collection_name: organization.collection_name,
    status: 'active',
    created_at: service.clock.now().toISOString(),
  };
}

function memberAnswer(one: SignedUp) {
  return {
    ...publicAnswer(one),
    admin: { id: expect.stringMatching(/^[0-9a-f]{24}$/), email: one.signUp.email },
    updated_at: service.clock.now().toISOString(),
    members: 1,
    metadata: {},
    external_id: null,
    your_role: 'owner',
  };
}

describe('without a token', () => {
  test('shows what everybody may see', async () => {
    const found = expectStatus(await api.get(acme.organization.organization_name), 200);
    expect(found.json()).toEqual(publicAnswer(acme));
  });

  test('finds the name in any case and spacing', async () => {
    const name = ` ${acme.organization.organization_name.toUpperCase().replace(' ', '  ')} `;
    expect(expectStatus(await api.get(name), 200).json().id).toBe(acme.organization.id);
  });

  test('does not find another name of the same slug', async () => {
    const name = acme.organization.organization_name.replace(' ', '-');
    expectProblem(await api.get(name), 404, 'organization_not_found');
  });

  test('404 for a name nobody has', async () => {
    expectProblem(await api.get('Nobody has this'), 404, 'organization_not_found');
  });

  test('needs the name', async () => {
    const problem = expectProblem(await api.get(), 400, 'invalid_querystring');
    expect(pathsOf(problem)).toEqual(['/organization_name']);
  });
});

describe('with a token', () => {
  test('shows a member more', async () => {
    const { auth, organization } = acme;
    const found = expectStatus(
      await api.get(organization.organization_name, { headers: auth }),
      200,
    );
    expect(found.json()).toEqual(memberAnswer(acme));
  });

  test('needs no name', async () => {
    const found = expectStatus(await api.get(undefined, { headers: acme.auth }), 200);
    expect(found.json()).toEqual(memberAnswer(acme));
  });

  test('shows of another organization what everybody may see', async () => {
    const { organization_name } = globex.organization;
    const found = expectStatus(await api.get(organization_name, { headers: acme.auth }), 200);
    expect(found.json()).toEqual(publicAnswer(globex));
  });

  test('refuses a token that is no good, although none is needed', async () => {
    const { organization_name } = acme.organization;
    const options = bearer({ access_token: 'not.a.token' });
    expectProblem(await api.get(organization_name, options), 401, 'invalid_token');
  });

  test('the member of another organization of the same person is not shown more', async () => {
    const { email, password } = acme.signUp;
    const second = await signUpAndIn(service, { email, password });
    const { organization_name } = second.organization;
    const found = expectStatus(await api.get(organization_name, { headers: acme.auth }), 200);
    expect(found.json()).toEqual(publicAnswer(second));
  });
});

describe('in every state', () => {
  test.each(['provisioning', 'deleting'])('%s: it does not exist', async (state) => {
    const one = await signUpAndIn(service);
    await set(one, { state });
    const { organization_name } = one.organization;
    expectProblem(await api.get(organization_name), 404, 'organization_not_found');
    expectProblem(await api.get(undefined, { headers: one.auth }), 401, 'invalid_token');
  });

  test('renaming: nothing shows', async () => {
    const one = await signUpAndIn(service);
    await set(one, { state: 'renaming' });
    const { organization_name } = one.organization;
    expect(expectStatus(await api.get(organization_name), 200).json()).toEqual(publicAnswer(one));
    expectStatus(await api.get(undefined, { headers: one.auth }), 200);
  });

  test('suspended: said to everybody, closed to members', async () => {
    const one = await signUpAndIn(service);
    await set(one, { state: 'suspended' });
    const found = expectStatus(await api.get(one.organization.organization_name), 200);
    expect(found.json()).toEqual({ ...publicAnswer(one), status: 'suspended' });
    expectProblem(await api.get(undefined, { headers: one.auth }), 403, 'organization_suspended');
    expectProblem(
      await api.update({ metadata: {} }, { headers: one.auth }),
      403,
      'organization_suspended',
    );
    expectProblem(await api.remove({ headers: one.auth }), 403, 'organization_suspended');
    const { email, password } = one.signUp;
    expectProblem(await api.login({ email, password }), 403, 'organization_suspended');
  });
});

test('HEAD answers as GET does, without a body', async () => {
  const url = `/org/get?organization_name=${encodeURIComponent(acme.organization.organization_name)}`;
  const head = await service.app.inject({ method: 'HEAD', url });
  expect(head.statusCode).toBe(200);
  expect(head.body).toBe('');
});
