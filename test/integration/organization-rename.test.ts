import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, expectProblem } from '../support/api.ts';
import {
  contentsOf,
  contradictions,
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

const update = (one: SignedUp, body: object) => api.update(body, { headers: one.auth });

function organizationOf({ organization }: SignedUp) {
  return service.db.collection('organizations').findOne({ _id: new ObjectId(organization.id) });
}

function newName(): string {
  return someSignUp().organization_name;
}

describe('a rename', () => {
  test('keeps 5,000 documents, a secondary index and the UUID of the collection', async () => {
    const acme = await signUpAndIn(service);
    const old = acme.organization.collection_name;
    const documents = Array.from({ length: 5_000 }, (_, n) => ({ n, text: `document ${n}` }));
    await service.db.collection(old).insertMany(documents);
    await service.db.collection(old).createIndex({ text: 1 }, { name: 'by_text', unique: true });
    const uuid = await uuidOf(service.db, old);

    const name = newName();
    const renamed = expectStatus(await update(acme, { organization_name: name }), 200).json();

    expect(renamed).toEqual({
      id: acme.organization.id,
      organization_name: name,
      collection_name: `org_${name.toLowerCase().replace(' ', '_')}`,
      status: 'active',
      created_at: service.clock.now().toISOString(),
      updated_at: service.clock.now().toISOString(),
      admin: { id: expect.any(String), email: acme.signUp.email },
      members: 1,
      metadata: {},
      external_id: null,
      your_role: 'owner',
    });
    const collections = await tenantCollections(service.db);
    expect(collections).toContain(renamed.collection_name);
    expect(collections).not.toContain(old);
    expect(await uuidOf(service.db, renamed.collection_name)).toBe(uuid);
    const moved = service.db.collection(renamed.collection_name);
    expect(await moved.find().sort({ n: 1 }).toArray()).toEqual(documents);
    expect(await moved.indexes()).toContainEqual(
      expect.objectContaining({ name: 'by_text', key: { text: 1 }, unique: true }),
    );
    expect(await organizationOf(acme)).toMatchObject({
      organization_name: name,
      collection_name: renamed.collection_name,
      state: 'active',
      held: { slugs: [renamed.collection_name.slice('org_'.length)] },
    });
  });

  test('in its other form: the present name, and the new one', async () => {
    const acme = await signUpAndIn(service);
    const { organization_name: present } = acme.organization;
    const name = newName();
    const body = { organization_name: present.toUpperCase(), new_organization_name: name };
    expect(expectStatus(await update(acme, body), 200).json().organization_name).toBe(name);
  });

  test('by new_organization_name alone', async () => {
    const acme = await signUpAndIn(service);
    const name = newName();
    const renamed = expectStatus(await update(acme, { new_organization_name: name }), 200).json();
    expect(renamed.organization_name).toBe(name);
  });

  test('with a present name that is another organization’s or nobody’s is refused', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const before = await contentsOf(service.db);
    for (const organization_name of [globex.organization.organization_name, newName()]) {
      const body = { organization_name, new_organization_name: newName() };
      expectProblem(await update(acme, body), 403, 'not_your_organization');
    }
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('frees the old name, finds the new one, and leaves the token good', async () => {
    const acme = await signUpAndIn(service);
    const { organization_name: old } = acme.organization;
    const name = newName();
    expectStatus(await update(acme, { organization_name: name }), 200);
    expectProblem(await api.get(old), 404, 'organization_not_found');
    expect(expectStatus(await api.get(name), 200).json().id).toBe(acme.organization.id);
    expect(
      expectStatus(await api.get(undefined, { headers: acme.auth }), 200).json(),
    ).toMatchObject({ id: acme.organization.id, organization_name: name, your_role: 'owner' });
    const taken = expectStatus(await api.create(someSignUp({ organization_name: old })), 201);
    expect(taken.json().id).not.toBe(acme.organization.id);
  });

  test('to the name it has changes nothing', async () => {
    const acme = await signUpAndIn(service);
    const { collection_name, organization_name } = acme.organization;
    const uuid = await uuidOf(service.db, collection_name);
    const renamed = expectStatus(await update(acme, { organization_name }), 200).json();
    expect(renamed).toMatchObject({ organization_name, collection_name });
    expect(await uuidOf(service.db, collection_name)).toBe(uuid);
  });

  test.each([
    ['in other letters', (name: string) => name.toUpperCase()],
    ['with other punctuation', (name: string) => name.replace(' ', ' — ')],
  ])('to the same slug %s keeps the collection and its documents', async (_, respell) => {
    const acme = await signUpAndIn(service);
    const { collection_name, organization_name } = acme.organization;
    await service.db.collection(collection_name).insertOne({ kept: true });
    const uuid = await uuidOf(service.db, collection_name);
    const name = respell(organization_name);
    expect(name).not.toBe(organization_name);
    const renamed = expectStatus(await update(acme, { organization_name: name }), 200).json();
    expect(renamed).toMatchObject({ organization_name: name, collection_name });
    expect(await uuidOf(service.db, collection_name)).toBe(uuid);
    expect(await service.db.collection(collection_name).countDocuments({ kept: true })).toBe(1);
    expect(expectStatus(await api.get(name), 200).json().id).toBe(acme.organization.id);
  });

  test('to a look-alike of its own name is its own affair', async () => {
    const acme = await signUpAndIn(service, { organization_name: 'Сорос' });
    const renamed = expectStatus(await update(acme, { organization_name: 'Copoc' }), 200).json();
    expect(renamed).toMatchObject({ organization_name: 'Copoc', collection_name: 'org_copoc' });
  });

  test('to names that need all of the 255 bytes, there and back', async () => {
    const acme = await signUpAndIn(service);
    const { organization_name: short } = acme.organization;
    await service.db.collection(acme.organization.collection_name).insertOne({ kept: true });
    const long = '漢'.repeat(100);
    const there = expectStatus(await update(acme, { organization_name: long }), 200).json();
    expect(
      Buffer.byteLength(`${service.db.databaseName}.${there.collection_name}`),
    ).toBeLessThanOrEqual(255);
    expect(await service.db.collection(there.collection_name).countDocuments()).toBe(1);
    const back = expectStatus(await update(acme, { organization_name: short }), 200).json();
    expect(back.collection_name).toBe(acme.organization.collection_name);
    expect(await service.db.collection(back.collection_name).countDocuments()).toBe(1);
  });

  test.each([
    ['the same', 'organization_name_taken', (name: string) => name.toLowerCase()],
    ['of the same slug', 'collection_name_taken', (name: string) => name.replace(' ', '+')],
    ['a look-alike', 'organization_name_confusable', (name: string) => name.replace('A', 'А')],
  ])('to a name that is %s as another’s is refused', async (_, code, respell) => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const name = respell(globex.organization.organization_name);
    const before = await contentsOf(service.db);
    expectProblem(await update(acme, { organization_name: name }), 409, code);
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('on to a collection that is somebody else’s is refused, and touches nothing', async () => {
    const acme = await signUpAndIn(service);
    const name = newName();
    const foreign = service.db.collection(`org_${name.toLowerCase().replace(' ', '_')}`);
    await foreign.insertOne({ precious: true });
    const before = await contentsOf(service.db);
    const { organizations: unchanged, ...others } = before;
    const body = { organization_name: name, metadata: { a: 1 }, email: 'moved@acme.example' };
    expectProblem(await update(acme, body), 409, 'collection_name_taken');
    const { organizations, ...othersAfter } = await contentsOf(service.db);
    expect(othersAfter).toEqual(others);
    expect(organizations?.map(withoutVersion)).toEqual(unchanged?.map(withoutVersion));
    expectStatus(await api.login({ ...acme.signUp, organization_name: undefined }), 200);
    await foreign.drop();
  });
});

/** An update that was begun and undone leaves its mark in these two fields alone. */
function withoutVersion({ version, last_operation_id, ...rest }: Record<string, unknown>) {
  return rest;
}
