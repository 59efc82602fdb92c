import { Binary, ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MASTER_COLLECTIONS } from '../../src/composition/stores.ts';
import { searchKeysOf } from '../../src/registry/search-keys.ts';
import { type Api, apiOf, expectProblem, pathsOf } from '../support/api.ts';
import { contentsOf, contradictions, tenantCollections } from '../support/database-truth.ts';
import {
  expectStatus,
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

describe('what is answered and kept', () => {
  test('201 with the organization and its admin', async () => {
    const signUp = someSignUp();
    const response = expectStatus(await api.create(signUp), 201);
    expect(response.headers['content-type']).toMatch(/^application\/json\b/);
    expect(response.json()).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      organization_name: signUp.organization_name,
      collection_name: `org_${signUp.organization_name.toLowerCase().replace(' ', '_')}`,
      admin: { id: expect.stringMatching(/^[0-9a-f]{24}$/), email: signUp.email },
      status: 'active',
      created_at: service.clock.now().toISOString(),
    });
  });

  test('one organization, one admin, one membership and one empty collection', async () => {
    await using fresh = await startTestService();
    const signUp = someSignUp({ organization_name: 'Acme GmbH', email: 'Ada@Acme.Example' });
    const created = expectStatus(await apiOf(fresh).create(signUp), 201).json();
    const now = fresh.clock.now();
    const contents = await contentsOf(fresh.db);
    const adminId = new ObjectId(String(created.admin.id));
    expect(contents).toEqual({
      ...Object.fromEntries(MASTER_COLLECTIONS.map(({ name }) => [name, []])),
      organizations: [
        {
          _id: new ObjectId(String(created.id)),
          organization_name: 'Acme GmbH',
          name_key: 'acme gmbh',
          slug: 'acme_gmbh',
          skeleton: 'acme_gmbh',
          collection_name: 'org_acme_gmbh',
          collection_uuid: expect.any(Binary),
          database: fresh.db.databaseName,
          state: 'active',
          held: { slugs: ['acme_gmbh'], skeletons: ['acme_gmbh'], external_ids: [] },
          metadata: {},
          search_keys: searchKeysOf('acme_gmbh'),
          measured: { records: 0, bytes: 0, at: now },
          last_active_at: now,
          version: 1,
          last_operation_id: expect.any(ObjectId),
          created_at: now,
          updated_at: now,
        },
      ],
      admins: [
        {
          _id: adminId,
          email: 'ada@acme.example',
          name: null,
          password: {
            scheme: 'bcrypt-sha384',
            hash: expect.stringMatching(/^\$2b\$04\$[./\w]{53}$/),
          },
          membership_version: 1,
          last_organization_id: null,
          created_at: now,
          updated_at: now,
        },
      ],
      memberships: [
        {
          _id: expect.any(ObjectId),
          organization_id: new ObjectId(String(created.id)),
          admin_id: adminId,
          role: 'owner',
          version: 0,
          created_at: now,
        },
      ],
      org_acme_gmbh: [],
    });
    expect(await contradictions(fresh.db)).toEqual([]);
  });

  test('no trace of the password itself', async () => {
    const password = 'Tr0ub4dor & three, in clear text';
    expectStatus(
      await api.create(someSignUp({ password }), { headers: { 'idempotency-key': 'password-1' } }),
      201,
    );
    expect(JSON.stringify(await contentsOf(service.db))).not.toContain(password);
  });
});

describe('an e-mail address that has an account', () => {
  test('with the right password owns one more organization', async () => {
    const first = someSignUp();
    const created = expectStatus(await api.create(first), 201).json();
    const { email, password } = first;
    const second = someSignUp({ email: email.toUpperCase(), password });
    const again = expectStatus(await api.create(second), 201).json();
    expect(again.admin).toEqual(created.admin);
    const adminId = new ObjectId(String(created.admin.id));
    const memberships = service.db.collection('memberships').find({ admin_id: adminId });
    expect((await memberships.toArray()).map(({ role }) => role)).toEqual(['owner', 'owner']);
  });

  test('with another password is refused and leaves nothing', async () => {
    const { email } = expectStatus(await api.create(someSignUp()), 201).json().admin;
    const before = await contentsOf(service.db);
    const signUp = someSignUp({ email, password: 'not the password' });
    expectProblem(await api.create(signUp), 409, 'email_taken');
    expect(await contentsOf(service.db)).toEqual(before);
  });
});

describe('names', () => {
  test.each([
    ['Müller & Söhne GmbH', 'org_müller_söhne_gmbh'],
    ['株式会社サンプル', 'org_株式会社サンプル'],
    ['شركة المثال', 'org_شركة_المثال'],
    ['हिन्दी कंपनी', 'org_हिन्दी_कंपनी'],
    ['𠮷野家', 'org_𠮷野家'],
    ['  Spaced   out  ', 'org_spaced_out'],
    ['ＦＵＬＬ ｗｉｄｔｈ', 'org_full_width'],
    ['$where.system.', 'org__where_system_'],
    ['7', 'org_7'],
    ['Rocket 🚀 Science', 'org_rocket_science'],
  ])('%s has the collection %s', async (organizationName, collectionName) => {
    const created = expectStatus(
      await api.create(someSignUp({ organization_name: organizationName })),
      201,
    ).json();
    expect(created).toMatchObject({
      organization_name: organizationName.normalize('NFKC').trim(),
      collection_name: collectionName,
    });
    expect(await tenantCollections(service.db)).toContain(collectionName);
    const found = expectStatus(await api.get(organizationName), 200).json();
    expect(found.id).toBe(created.id);
  });

  test('that are the same but for case and spacing are taken', async () => {
    const { organization_name } = expectStatus(await api.create(someSignUp()), 201).json();
    for (const name of [
      organization_name,
      organization_name.toUpperCase(),
      `  ${organization_name.toLowerCase().replace(' ', '   ')} `,
    ])
      expectProblem(
        await api.create(someSignUp({ organization_name: name })),
        409,
        'organization_name_taken',
      );
  });

  test('with one slug are one: the second is refused, without naming the first', async () => {
    const first = someSignUp({ organization_name: 'Initech (Europe)' });
    expectStatus(await api.create(first), 201);
    const problem = expectProblem(
      await api.create(someSignUp({ organization_name: 'initech/europe!' })),
      409,
      'collection_name_taken',
    );
    expect(problem.detail).not.toContain(first.organization_name);
  });

  test.each([
    ['paypal', 'pаypаl'],
    ['ВЕКТОР', 'BEKTOP'],
    ['scope', 'ѕсоре'],
  ])('%s has a look-alike that is refused', async (name, lookAlike) => {
    expect(lookAlike).not.toBe(name);
    expectStatus(await api.create(someSignUp({ organization_name: name })), 201);
    const problem = expectProblem(
      await api.create(someSignUp({ organization_name: lookAlike })),
      409,
      'organization_name_confusable',
    );
    expect(problem.detail).toContain(lookAlike);
  });

  test('of 100 characters pass, and of four bytes each stay within the 255 bytes of a namespace', async () => {
    const base = '𠮷'.repeat(99);
    const names = [`${base}一`, `${base}二`];
    const collections: string[] = [];
    for (const organization_name of names) {
      const created = expectStatus(await api.create(someSignUp({ organization_name })), 201).json();
      expect(created.organization_name).toBe(organization_name);
      collections.push(created.collection_name);
    }
    const [first = '', second = ''] = collections;
    expect(first).not.toBe(second);
    for (const name of collections) {
      const bytes = Buffer.byteLength(`${service.db.databaseName}.${name}`);
      expect(bytes).toBeLessThanOrEqual(255);
      expect(bytes).toBeGreaterThan(250);
    }
    expect(await tenantCollections(service.db)).toEqual(expect.arrayContaining(collections));
  });

  test.each([
    '',
    '   ',
    '!!!',
    '🚀',
    'a\0b',
    'line\nbreak',
    'right\u202eleft',
    'x'.repeat(101),
    '\ue000a',
  ])('%j is not a name', async (name) => {
    const before = await contentsOf(service.db);
    const problem = expectProblem(
      await api.create(someSignUp({ organization_name: name })),
      422,
      'validation_failed',
    );
    expect(pathsOf(problem)).toEqual(['/organization_name']);
    expect(await contentsOf(service.db)).toEqual(before);
  });
});

describe('what somebody else put into the database', () => {
  test('a collection of the name is left alone, and nothing else remains', async () => {
    const foreign = service.db.collection<{ _id: string }>('org_foreign_data');
    await foreign.insertOne({ _id: 'precious' });
    const before = await contentsOf(service.db);
    expectProblem(
      await api.create(someSignUp({ organization_name: 'Foreign Data' })),
      409,
      'collection_name_taken',
    );
    expect(await contentsOf(service.db)).toEqual(before);
    await foreign.drop();
    expectStatus(await api.create(someSignUp({ organization_name: 'Foreign Data' })), 201);
  });

  test('so is a view of the name', async () => {
    await service.db.createCollection('org_a_view', { viewOn: 'organizations', pipeline: [] });
    const before = await contentsOf(service.db);
    expectProblem(
      await api.create(someSignUp({ organization_name: 'A view' })),
      409,
      'collection_name_taken',
    );
    expect(await contentsOf(service.db)).toEqual(before);
    await service.db.dropCollection('org_a_view');
  });
});

describe('passwords', () => {
  test('of 64 emoji work, and their last one counts', async () => {
    const password = '🔑'.repeat(64);
    const { email } = expectStatus(await api.create(someSignUp({ password })), 201).json().admin;
    expectStatus(await api.login({ email, password }), 200);
    const other = `${'🔑'.repeat(63)}🔒`;
    expectProblem(await api.login({ email, password: other }), 401, 'invalid_credentials');
  });

  test('are the same in every Unicode normalization form', async () => {
    const password = 'Ångström ﬁnds Café';
    const { email } = expectStatus(await api.create(someSignUp({ password })), 201).json().admin;
    for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'])
      expectStatus(await api.login({ email, password: password.normalize(form) }), 200);
  });

  test.each([8, 256])('of %i characters are accepted', async (length) => {
    const password = 'p'.repeat(length);
    const { email } = expectStatus(await api.create(someSignUp({ password })), 201).json().admin;
    expectStatus(await api.login({ email, password }), 200);
  });
});

test('a full installation answers 503 with Retry-After, and keeps nothing', async () => {
  await using full = await startTestService({ settings: { maxCollections: 1 } });
  const response = await apiOf(full).create(someSignUp());
  expectProblem(response, 503, 'capacity_reached');
  expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  expect(Object.values(await contentsOf(full.db)).flat()).toEqual([]);
  expect(await tenantCollections(full.db)).toEqual([]);
});
