import type { LightMyRequestResponse } from 'fastify';
import { ObjectId } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, tally } from '../support/api.ts';
import { contentsOf, contradictions } from '../support/database-truth.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let first: TestService;
let second: TestService;
let api: Api;
// Two instances on one database: requests go to them in turn.
beforeAll(async () => {
  first = await startTestService();
  second = await startTestService({
    database: first.settings.masterDatabase,
    clock: first.clock,
  });
  api = apiOf(first, second);
});
afterEach(async () => {
  expect(await contradictions(first.db)).toEqual([]);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

type Reply = Promise<LightMyRequestResponse>;

function times(count: number, request: (n: number) => Reply): Promise<LightMyRequestResponse[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => request(n)));
}

function manySignedUp(count: number): Promise<SignedUp[]> {
  return Promise.all(Array.from({ length: count }, () => signUpAndIn(first)));
}

const update = (one: SignedUp | undefined, body: object) =>
  api.update(body, one && { headers: one.auth });

function countOf(collection: string, filter = {}): Promise<number> {
  return first.db.collection(collection).countDocuments(filter);
}

function organization({ organization: { id } }: SignedUp) {
  return first.db.collection('organizations').findOne({ _id: new ObjectId(id) });
}

describe('20 creations of one name', () => {
  test.each([
    ['on one instance', () => apiOf(first)],
    ['on two instances', () => api],
  ])('%s: one is made, and nothing remains of the others', async (_, apiUsed) => {
    const { organization_name } = someSignUp();
    const before = await contentsOf(first.db);
    const responses = await times(20, () => apiUsed().create(someSignUp({ organization_name })));
    expect(tally(responses)).toEqual({ '201': 1, '409 organization_name_taken': 19 });

    const created = responses.find(({ statusCode }) => statusCode === 201)?.json();
    const after = await contentsOf(first.db);
    const grown = Object.keys(after).filter((name) => after[name]?.length !== before[name]?.length);
    expect(grown.sort()).toEqual(
      ['admins', 'memberships', created.collection_name, 'organizations'].sort(),
    );
    for (const name of ['admins', 'memberships', 'organizations'])
      expect(after[name]).toHaveLength((before[name]?.length ?? 0) + 1);
    expect(await countOf('admins', { email: created.admin.email })).toBe(1);
  });

  test('in all its spellings and disguises: one is made', async () => {
    const { organization_name: name } = someSignUp();
    const spellings = [name, name.toUpperCase(), name.replace(' ', '-'), name.replace('A', 'А')];
    const before = await countOf('organizations');
    const responses = await times(20, (n) =>
      api.create(someSignUp({ organization_name: spellings[n % spellings.length] ?? name })),
    );
    const { '201': made, ...refused } = tally(responses);
    expect(made).toBe(1);
    expect(Object.values(refused).reduce((a, b) => a + b)).toBe(19);
    const codes = [
      'organization_name_taken',
      'collection_name_taken',
      'organization_name_confusable',
    ];
    expect(codes.map((code) => `409 ${code}`)).toEqual(
      expect.arrayContaining(Object.keys(refused)),
    );
    expect(await countOf('organizations')).toBe(before + 1);
  });
});

test('20 creations by one new person under different names: one account', async () => {
  const { email, password } = someSignUp();
  const responses = await times(20, () => api.create(someSignUp({ email, password })));
  const counts = tally(responses);
  expect(Object.keys(counts).sort()).toEqual(
    ['201', '409 email_taken'].filter((kind) => kind in counts),
  );
  expect(counts['201']).toBeGreaterThan(0);
  const admins = await first.db.collection('admins').find({ email }).toArray();
  expect(admins).toHaveLength(1);
  expect(await countOf('memberships', { admin_id: admins[0]?._id })).toBe(counts['201']);
  for (const response of responses.filter(({ statusCode }) => statusCode === 201))
    expect(response.json().admin.id).toBe(String(admins[0]?._id));
  expectStatus(await api.login({ email, password }), 200);
});

describe('renames', () => {
  test('20 organizations to one name: one gets it, the others stay as they are', async () => {
    const all = await manySignedUp(20);
    for (const {
      organization: { collection_name, id },
    } of all)
      await first.db.collection(collection_name).insertOne({ owner: id });
    const { organization_name } = someSignUp();
    const responses = await times(20, (n) => update(all[n], { organization_name }));
    expect(tally(responses)).toEqual({ '200': 1, '409 organization_name_taken': 19 });
    for (const [n, one] of all.entries()) {
      const won = responses[n]?.statusCode === 200;
      const now = await organization(one);
      expect(now?.organization_name).toBe(
        won ? organization_name : one.organization.organization_name,
      );
      const documents = await first.db.collection(now?.collection_name).find().toArray();
      expect(documents).toMatchObject([{ owner: one.organization.id }]);
    }
  });

  test('10 of one organization to different names: one after the other, or refused as busy', async () => {
    const [acme] = await manySignedUp(1);
    if (acme === undefined) return;
    const { collection_name } = acme.organization;
    await first.db.collection(collection_name).insertOne({ kept: true });
    const names = Array.from({ length: 10 }, () => someSignUp().organization_name);
    const responses = await times(10, (n) => update(acme, { organization_name: names[n] }));
    const counts = tally(responses);
    expect(Object.keys(counts).sort()).toEqual(
      ['200', '409 organization_busy'].filter((kind) => kind in counts),
    );
    const given = names.filter((_, n) => responses[n]?.statusCode === 200);
    const now = await organization(acme);
    expect(given).toContain(now?.organization_name);
    expect(now?.version).toBe(1 + given.length);
    expect(await first.db.collection(now?.collection_name).countDocuments({ kept: true })).toBe(1);
    for (const response of responses.filter(({ statusCode }) => statusCode === 200))
      expect(names).toContain(response.json().organization_name);
  });

  test('against a creation of the same name: one of the two', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(first);
      const { organization_name } = someSignUp();
      const [created, renamed] = await Promise.all([
        api.create(someSignUp({ organization_name })),
        update(acme, { organization_name }),
      ]);
      const statuses = [created.statusCode, renamed.statusCode];
      expect([
        [201, 409],
        [409, 200],
      ]).toContainEqual(statuses);
      expect(await countOf('organizations', { organization_name })).toBe(1);
    }
  });

  test('of two organizations to each other’s name: neither', async () => {
    const [acme, globex] = await manySignedUp(2);
    const nameOf = (one: SignedUp | undefined) => ({
      organization_name: one?.organization.organization_name,
    });
    const responses = await Promise.all([
      update(acme, nameOf(globex)),
      update(globex, nameOf(acme)),
    ]);
    expect(tally(responses)).toEqual({ '409 organization_name_taken': 2 });
  });

  test('to a name that is being given up: afterwards somebody or nobody has it, never two', async () => {
    for (let round = 0; round < 5; round += 1) {
      const [acme, globex] = await manySignedUp(2);
      const { organization_name } = someSignUp();
      const wanted = { organization_name: acme?.organization.organization_name };
      const [left, took] = await Promise.all([
        update(acme, { organization_name }),
        update(globex, wanted),
      ]);
      expect(left.statusCode).toBe(200);
      expect([200, 409]).toContain(took.statusCode);
      expect(await countOf('organizations', wanted)).toBe(took.statusCode === 200 ? 1 : 0);
      expect(await contradictions(first.db)).toEqual([]);
    }
  });
});

describe('other updates', () => {
  test('10 people to one e-mail address: one has it', async () => {
    const all = await manySignedUp(10);
    const { email } = someSignUp();
    const responses = await times(10, (n) =>
      update(all[n], n % 2 === 0 ? { email } : { email, organization_name: `To ${email} ${n}` }),
    );
    expect(tally(responses)).toEqual({ '200': 1, '409 email_taken': 9 });
    for (const [n, one] of all.entries()) {
      const now = await organization(one);
      const refused = responses[n]?.statusCode === 409;
      if (refused) expect(now?.organization_name).toBe(one.organization.organization_name);
      if (refused) expect(await countOf('admins', { email: one.signUp.email })).toBe(1);
    }
    expect(await countOf('admins', { email })).toBe(1);
  });

  test('10 organizations to one external_id: one has it', async () => {
    const all = await manySignedUp(10);
    const external_id = someSignUp().email;
    const responses = await times(10, (n) => update(all[n], { external_id }));
    expect(tally(responses)).toEqual({ '200': 1, '409 external_id_taken': 9 });
    expect(await countOf('organizations', { external_id })).toBe(1);
  });

  test('one person’s metadata and another’s external_id: neither undoes the other', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(first);
      const external_id = `${acme.organization.id} ${round}`;
      const responses = await Promise.all([
        update(acme, { metadata: { round } }),
        update(acme, { external_id }),
        update(acme, { organization_name: acme.organization.organization_name.toUpperCase() }),
      ]);
      expect(tally(responses)).toEqual({ '200': 3 });
      expect(await organization(acme)).toMatchObject({
        metadata: { round },
        external_id,
        organization_name: acme.organization.organization_name.toUpperCase(),
      });
    }
  });

  test('20 of one organization’s metadata and external_id: no field of one with a field of another', async () => {
    const acme = await signUpAndIn(first);
    const responses = await times(20, (n) =>
      update(acme, { metadata: { n }, external_id: `${acme.organization.id}-${n}` }),
    );
    const counts = tally(responses);
    expect(Object.keys(counts).sort()).toEqual(
      ['200', '409 organization_busy'].filter((kind) => kind in counts),
    );
    const now = await organization(acme);
    expect(now?.external_id).toBe(`${acme.organization.id}-${now?.metadata.n}`);
    expect(now?.version).toBe(1 + (counts['200'] ?? 0));
  });
});
