import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem } from '../support/api.ts';
import {
  contentsOf,
  contradictions,
  placesNaming,
  tenantCollections,
  uuidOf,
} from '../support/database-truth.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let api: Api;
beforeAll(async () => {
  service = await startTestService();
  api = apiOf(service);
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await service[Symbol.asyncDispose]();
});

async function adminIdOf({ signUp }: SignedUp): Promise<string> {
  const admin = await service.db.collection('admins').findOne({ email: signUp.email });
  return String(admin?._id);
}

describe('what is answered and what is left', () => {
  test('the answer says that it is gone', async () => {
    const acme = await signUpAndIn(service);
    expect(expectStatus(await api.remove({ headers: acme.auth }), 200).json()).toEqual({
      id: acme.organization.id,
      organization_name: acme.organization.organization_name,
      status: 'deleted',
      purge_at: null,
    });
  });

  test('nothing anywhere names the organization, its admin or the address', async () => {
    const signUp = someSignUp();
    const { email, password, organization_name } = signUp;
    const key = { headers: { 'idempotency-key': `delete-${email}` } };
    const { id, collection_name, admin } = expectStatus(await api.create(signUp, key), 201).json();
    const tokens = expectStatus(await api.login({ email, password }), 200).json();
    expectStatus(await api.login({ email, password }), 200);
    expectStatus(await api.refresh(tokens.refresh_token), 200);
    expectStatus(
      await api.update({ metadata: { a: 1 }, external_id: `x-${id}` }, bearer(tokens)),
      200,
    );
    await service.db.collection(collection_name).insertOne({ theirs: true });
    expect(await placesNaming(service.db, id)).not.toEqual([]);

    expectStatus(await api.remove(bearer(tokens)), 200);

    const needles = [id, admin.id, email, organization_name, collection_name];
    expect(await placesNaming(service.db, ...needles)).toEqual([]);
  });

  test('the name, the address, the external id and the collection can be had again', async () => {
    const acme = await signUpAndIn(service);
    const external_id = `x-${acme.organization.id}`;
    expectStatus(await api.update({ external_id }, { headers: acme.auth }), 200);
    const uuid = await uuidOf(service.db, acme.organization.collection_name);
    await service.db.collection(acme.organization.collection_name).insertOne({ theirs: true });
    expectStatus(await api.remove({ headers: acme.auth }), 200);

    const again = await signUpAndIn(service, acme.signUp);
    expect(again.organization.id).not.toBe(acme.organization.id);
    expect(again.organization.collection_name).toBe(acme.organization.collection_name);
    expect(await uuidOf(service.db, again.organization.collection_name)).not.toBe(uuid);
    const collection = service.db.collection(again.organization.collection_name);
    expect(await collection.countDocuments()).toBe(0);
    expectStatus(await api.update({ external_id }, { headers: again.auth }), 200);
  });

  test('other organizations are as they were', async () => {
    const globex = await signUpAndIn(service);
    const before = await contentsOf(service.db);
    const acme = await signUpAndIn(service);
    expectStatus(await api.remove({ headers: acme.auth }), 200);
    expect(await contentsOf(service.db)).toEqual(before);
    expectStatus(await api.get(undefined, { headers: globex.auth }), 200);
  });

  test('a collection dropped behind the service’s back does not stand in the way', async () => {
    const acme = await signUpAndIn(service);
    await service.db.dropCollection(acme.organization.collection_name);
    expectStatus(await api.remove({ headers: acme.auth }), 200);
    expect(await placesNaming(service.db, acme.organization.id)).toEqual([]);
  });

  test('a foreign collection that took the place of a dropped one is left alone', async () => {
    const acme = await signUpAndIn(service);
    const { collection_name } = acme.organization;
    await service.db.dropCollection(collection_name);
    await service.db.collection(collection_name).insertOne({ foreign: true });
    expectStatus(await api.remove({ headers: acme.auth }), 200);
    expect(await service.db.collection(collection_name).countDocuments()).toBe(1);
    await service.db.dropCollection(collection_name);
  });
});

describe('people', () => {
  test('who belong to another organization stay, and sign in there', async () => {
    const first = await signUpAndIn(service);
    const { email, password } = first.signUp;
    const second = await signUpAndIn(service, { email, password });
    // The one used last is the one that goes.
    const tokens = expectStatus(
      await api.login({
        email,
        password,
        organization_name: first.organization.organization_name,
      }),
      200,
    ).json();
    const adminId = await adminIdOf(first);

    expectStatus(await api.remove(bearer(tokens)), 200);

    expect(await placesNaming(service.db, first.organization.id)).toEqual([]);
    expect(await adminIdOf(first)).toBe(adminId);
    const again = expectStatus(await api.login({ email, password }), 200).json();
    expect(again.organization.id).toBe(second.organization.id);
    expect(again.organizations).toHaveLength(1);
    expectStatus(await api.get(undefined, { headers: second.auth }), 200);
  });

  test('all members who belong nowhere else go, also those who are not owners', async () => {
    const acme = await signUpAndIn(service);
    const members = service.db.collection('memberships');
    const admins = service.db.collection('admins');
    const owner = await admins.findOne({ email: acme.signUp.email });
    const viewer = { ...owner, _id: new ObjectId(), email: `viewer-${acme.signUp.email}` };
    await admins.insertOne(viewer);
    await members.insertOne({
      _id: new ObjectId(),
      organization_id: new ObjectId(acme.organization.id),
      admin_id: viewer._id,
      role: 'viewer',
      created_at: new Date(),
    });
    const { password } = acme.signUp;
    expectStatus(await api.login({ email: viewer.email, password }), 200);
    expectStatus(await api.remove({ headers: acme.auth }), 200);
    const needles = [acme.organization.id, String(viewer._id), viewer.email];
    expect(await placesNaming(service.db, ...needles)).toEqual([]);
  });
});

describe('tokens of the deleted organization', () => {
  test('are dead at once, all of them', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const other = expectStatus(await api.login({ email, password }), 200).json();
    expectStatus(await api.remove({ headers: acme.auth }), 200);
    for (const tokens of [acme.tokens, other]) {
      expectProblem(await api.get(undefined, bearer(tokens)), 401, 'invalid_token');
      expectProblem(await api.update({ metadata: {} }, bearer(tokens)), 401, 'invalid_token');
      expectProblem(await api.remove(bearer(tokens)), 401, 'invalid_token');
      expectProblem(await api.logout(bearer(tokens)), 401, 'invalid_token');
      expectProblem(await api.refresh(tokens.refresh_token), 401, 'invalid_refresh_token');
    }
    expectProblem(await api.login({ email, password }), 401, 'invalid_credentials');
  });

  test('open nothing of the one that took its name, not even for the same person', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await api.remove({ headers: acme.auth }), 200);
    const { organization_name, email, password } = acme.signUp;
    for (const owner of [{ email, password }, {}]) {
      const successor = await signUpAndIn(service, { organization_name, ...owner });
      for (const response of [
        await api.get(undefined, { headers: acme.auth }),
        await api.get(organization_name, { headers: acme.auth }),
        await api.update({ metadata: { stolen: true } }, { headers: acme.auth }),
        await api.remove({ headers: acme.auth, query: { organization_name } }),
      ])
        expectProblem(response, 401, 'invalid_token');
      const found = expectStatus(await api.get(undefined, { headers: successor.auth }), 200).json();
      expect(found).toMatchObject({ id: successor.organization.id, metadata: {} });
      expectStatus(await api.remove({ headers: successor.auth }), 200);
    }
  });
});

describe('the safeguard', () => {
  test.each(['query', 'body'])('the right name in the %s, in any case', async (where) => {
    const acme = await signUpAndIn(service);
    const organization_name = ` ${acme.organization.organization_name.toUpperCase()} `;
    const given =
      where === 'query' ? { query: { organization_name } } : { body: { organization_name } };
    expectStatus(await api.remove({ headers: acme.auth, ...given }), 200);
  });

  test('any other name, and nothing is deleted', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const before = await contentsOf(service.db);
    const own = { organization_name: acme.organization.organization_name };
    for (const other of [
      { organization_name: globex.organization.organization_name },
      { organization_name: 'nobody has this' },
    ])
      for (const given of [
        { query: other },
        { body: other },
        { query: own, body: other },
        { query: other, body: own },
      ])
        expectProblem(
          await api.remove({ headers: acme.auth, ...given }),
          403,
          'not_your_organization',
        );
    expect(await contentsOf(service.db)).toEqual(before);
    expect(await tenantCollections(service.db)).toContain(globex.organization.collection_name);
  });

  test('after a rename it is the new name', async () => {
    const acme = await signUpAndIn(service);
    const { organization_name: old } = acme.organization;
    const { organization_name } = someSignUp();
    expectStatus(await api.update({ organization_name }, { headers: acme.auth }), 200);
    expectProblem(
      await api.remove({ headers: acme.auth, body: { organization_name: old } }),
      403,
      'not_your_organization',
    );
    expectStatus(await api.remove({ headers: acme.auth, body: { organization_name } }), 200);
  });
});

describe('who may', () => {
  test('nobody without a token', async () => {
    const { organization_name } = (await signUpAndIn(service)).organization;
    expectProblem(await api.remove(), 401, 'authentication_required');
    expectProblem(
      await api.remove({ query: { organization_name } }),
      401,
      'authentication_required',
    );
    expectStatus(await api.get(organization_name), 200);
  });

  test.each(['admin', 'editor', 'viewer'])('not the %s', async (role) => {
    const acme = await signUpAndIn(service);
    const membership = { organization_id: new ObjectId(acme.organization.id) };
    const memberships = service.db.collection('memberships');
    await memberships.updateOne(membership, { $set: { role } });
    expectProblem(await api.remove({ headers: acme.auth }), 403, 'permission_denied');
    await memberships.updateOne(membership, { $set: { role: 'owner' } });
    expectStatus(await api.remove({ headers: acme.auth }), 200);
  });
});

test('with DELETE and a body that is empty but has a Content-Type, as many clients send it', async () => {
  const acme = await signUpAndIn(service);
  const headers = { ...acme.auth, 'content-type': 'application/json' };
  expectStatus(await api.remove({ headers }), 200);
});
