import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem, pathsOf } from '../support/api.ts';
import { contentsOf, contradictions } from '../support/database-truth.ts';
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

/** Everything in the database but sessions, which every sign-in of a test changes. */
async function unlessSignedIn() {
  const { sessions: _, ...contents } = await contentsOf(service.db);
  return contents;
}

describe('all of it, or nothing', () => {
  test('everything at once', async () => {
    const acme = await signUpAndIn(service);
    const fresh = someSignUp({ password: 'another password' });
    const body = { ...fresh, metadata: { plan: 'team' }, external_id: `x-${fresh.email}` };
    expect(expectStatus(await update(acme, body), 200).json()).toMatchObject({
      organization_name: fresh.organization_name,
      metadata: { plan: 'team' },
      external_id: `x-${fresh.email}`,
      admin: { email: fresh.email },
    });
    expectStatus(await api.login(fresh), 200);
  });

  test('a rename with an e-mail address that is taken', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const before = await contentsOf(service.db);
    const body = {
      organization_name: newName(),
      metadata: { a: 1 },
      external_id: newName(),
      password: 'another password',
      email: globex.signUp.email.toUpperCase(),
    };
    expectProblem(await update(acme, body), 409, 'email_taken');
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('a rename with an external_id that is taken', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const external_id = newName();
    expectStatus(await update(globex, { external_id }), 200);
    const before = await contentsOf(service.db);
    const body = {
      organization_name: newName(),
      external_id,
      email: 'elsewhere@acme.example',
      password: 'another password',
    };
    expectProblem(await update(acme, body), 409, 'external_id_taken');
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('a new e-mail address with a name that is taken', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const before = await contentsOf(service.db);
    const { organization_name } = globex.organization;
    const body = { organization_name, email: 'elsewhere@acme.example', password: 'new password' };
    expectProblem(await update(acme, body), 409, 'organization_name_taken');
    expect(await contentsOf(service.db)).toEqual(before);
  });

  test('a new e-mail address with a metadata that is too large', async () => {
    const acme = await signUpAndIn(service);
    const before = await contentsOf(service.db);
    const body = { metadata: { a: 'x'.repeat(16 * 1024) }, email: 'elsewhere@acme.example' };
    const problem = expectProblem(await update(acme, body), 422, 'validation_failed');
    expect(pathsOf(problem)).toEqual(['/metadata']);
    expect(await contentsOf(service.db)).toEqual(before);
  });
});

describe('metadata', () => {
  test('comes back as it was sent, whatever its keys', async () => {
    const acme = await signUpAndIn(service);
    const metadata = {
      $a: { $gt: '', $where: '1', $literal: [] },
      'b.c': { '': 'empty', 'd.e.$f': 1 },
      'line\nbreak': ['\u2028', '$name', 'ünï', '🚀'],
      constructor: 1,
      toString: 'text',
      toJSON: 'text',
      hasOwnProperty: null,
      _id: 'mine',
      length: 0,
      numbers: [0, -1, 1.5, 2 ** 31, 2 ** 53 - 1, 1e300, 5e-324],
      $oid: '66f1c0ffee0ddba11ca75a1e',
      deep: nested(30),
      date: '2026-01-01T00:00:00.000Z',
      yes: true,
    };
    expect(expectStatus(await update(acme, { metadata }), 200).json().metadata).toEqual(metadata);
    expect((await organizationOf(acme))?.metadata).toEqual(metadata);
    const found = expectStatus(await api.get(undefined, { headers: acme.auth }), 200);
    expect(found.json().metadata).toEqual(metadata);
    // The same through the other way an update takes: in the steps of a rename.
    const organization_name = newName();
    const renamed = await update(acme, { organization_name, metadata: { metadata } });
    expect(expectStatus(renamed, 200).json().metadata).toEqual({ metadata });
    expect((await organizationOf(acme))?.metadata).toEqual({ metadata });
  });

  test('replaces what was there', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await update(acme, { metadata: { a: 1, b: 2 } }), 200);
    const replaced = expectStatus(await update(acme, { metadata: { b: 3 } }), 200).json();
    expect(replaced.metadata).toEqual({ b: 3 });
    expect(expectStatus(await update(acme, { metadata: {} }), 200).json().metadata).toEqual({});
  });

  test('of 16 KiB of JSON passes, of one byte more does not', async () => {
    const acme = await signUpAndIn(service);
    const envelope = Buffer.byteLength(JSON.stringify({ a: '' }));
    const full = { a: 'x'.repeat(16 * 1024 - envelope) };
    expectStatus(await update(acme, { metadata: full }), 200);
    const problem = expectProblem(
      await update(acme, { metadata: { a: `${full.a}x` } }),
      422,
      'validation_failed',
    );
    expect(pathsOf(problem)).toEqual(['/metadata']);
  });

  test.each([
    ['33 levels', nested(33)],
    ['70 levels', nested(70)],
  ])('of %s is too deep', async (_, value) => {
    const acme = await signUpAndIn(service);
    const problem = expectProblem(
      await update(acme, { metadata: value }),
      422,
      'validation_failed',
    );
    expect(pathsOf(problem)[0]).toMatch(/^\/metadata/);
  });

  // The driver reads such a value as one of its own classes, and fails on it.
  test.each(['ObjectId', 'Long', 'Code', 'Nothing', 5, null, { a: 1 }])(
    'with the key _bsontype: %j is refused',
    async (type) => {
      const acme = await signUpAndIn(service);
      const metadata = { list: [{ _bsontype: type }] };
      const problem = expectProblem(await update(acme, { metadata }), 422, 'validation_failed');
      expect(pathsOf(problem)).toEqual(['/metadata/list/0/_bsontype']);
      const top = expectProblem(
        await update(acme, { metadata: { _bsontype: type }, organization_name: newName() }),
        422,
        'validation_failed',
      );
      expect(pathsOf(top)).toEqual(['/metadata/_bsontype']);
    },
  );
});

describe('external_id', () => {
  test('is the organization’s own until null takes it away', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const external_id = newName();
    const given = expectStatus(await update(acme, { external_id }), 200).json();
    expect(given.external_id).toBe(external_id);
    expect(await organizationOf(acme)).toMatchObject({ external_id });
    expectProblem(await update(globex, { external_id }), 409, 'external_id_taken');
    expectStatus(await update(acme, { external_id }), 200);
    const taken = expectStatus(await update(acme, { external_id: null }), 200).json();
    expect(taken.external_id).toBeNull();
    expect(await organizationOf(acme)).not.toHaveProperty('external_id');
    expectStatus(await update(globex, { external_id }), 200);
  });

  test('outlives a rename and any other update', async () => {
    const acme = await signUpAndIn(service);
    const external_id = newName();
    expectStatus(await update(acme, { external_id }), 200);
    for (const body of [
      { organization_name: newName() },
      { metadata: {} },
      { password: 'another password' },
    ])
      expect(expectStatus(await update(acme, body), 200).json().external_id).toBe(external_id);
  });

  test('may be said to be null when there is none', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    for (const one of [acme, globex])
      expect(
        expectStatus(await update(one, { external_id: null }), 200).json().external_id,
      ).toBeNull();
  });
});

describe('the caller’s own credentials', () => {
  test('a new e-mail address signs in, the old one no longer', async () => {
    const acme = await signUpAndIn(service);
    const { email: old, password } = acme.signUp;
    const email = `New-${old}`;
    const updated = expectStatus(await update(acme, { email }), 200).json();
    expect(updated.admin.email).toBe(email.toLowerCase());
    expectStatus(await api.login({ email, password }), 200);
    expectProblem(await api.login({ email: old, password }), 401, 'invalid_credentials');
  });

  test('a new password signs in, and ends every other session of that person', async () => {
    const acme = await signUpAndIn(service);
    const { email, password: old } = acme.signUp;
    const elsewhere = expectStatus(await api.login({ email, password: old }), 200).json();
    const password = 'an even better passphrase';
    expectStatus(await update(acme, { password }), 200);

    expectStatus(await api.get(undefined, { headers: acme.auth }), 200);
    expectProblem(await api.get(undefined, bearer(elsewhere)), 401, 'invalid_token');
    expectProblem(await api.refresh(elsewhere.refresh_token), 401, 'invalid_refresh_token');
    expectStatus(await api.refresh(acme.tokens.refresh_token), 200);
    expectProblem(await api.login({ email, password: old }), 401, 'invalid_credentials');
    expectStatus(await api.login({ email, password }), 200);
  });

  test('a new password together with a rename does so as well', async () => {
    const acme = await signUpAndIn(service);
    const { email, password: old } = acme.signUp;
    const elsewhere = expectStatus(await api.login({ email, password: old }), 200).json();
    const body = { organization_name: newName(), password: 'an even better passphrase' };
    expectStatus(await update(acme, body), 200);
    expectStatus(await api.get(undefined, { headers: acme.auth }), 200);
    expectProblem(await api.get(undefined, bearer(elsewhere)), 401, 'invalid_token');
    expectProblem(await api.login({ email, password: old }), 401, 'invalid_credentials');
  });

  test('a new e-mail address ends no session', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const elsewhere = expectStatus(await api.login({ email, password }), 200).json();
    expectStatus(await update(acme, { email: `new-${email}` }), 200);
    expectStatus(await api.get(undefined, bearer(elsewhere)), 200);
  });

  test('one’s own e-mail address is not taken', async () => {
    const acme = await signUpAndIn(service);
    const email = acme.signUp.email.toUpperCase();
    expectStatus(await update(acme, { email }), 200);
    expectStatus(await update(acme, { email, organization_name: newName() }), 200);
  });

  test('an e-mail address that is taken is refused alone as well', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const before = await unlessSignedIn();
    const { email } = globex.signUp;
    expectProblem(await update(acme, { email }), 409, 'email_taken');
    expect(await unlessSignedIn()).toEqual(before);
  });
});

describe('who may', () => {
  test('nobody without a token', async () => {
    const response = await api.update({ organization_name: newName() });
    expectProblem(response, 401, 'authentication_required');
  });

  test.each([
    ['owner', 200],
    ['admin', 200],
    ['editor', 403],
    ['viewer', 403],
  ])('%s: %i', async (role, status) => {
    const acme = await signUpAndIn(service);
    const organization_id = new ObjectId(acme.organization.id);
    const memberships = service.db.collection('memberships');
    await memberships.updateOne({ organization_id }, { $set: { role } });
    // An organization always has an owner; here it is somebody without an account, for as long as the test takes.
    const other = { organization_id, admin_id: new ObjectId(), role: 'owner' };
    const adminId = (await memberships.findOne({ organization_id }))?.admin_id;
    const admin = await service.db.collection('admins').findOne({ _id: adminId });
    await service.db
      .collection('admins')
      .insertOne({ ...admin, _id: other.admin_id, email: `o-${other.admin_id}` });
    await memberships.insertOne(other);
    const response = await update(acme, { metadata: { by: role } });
    if (status === 200) expect(expectStatus(response, 200).json().your_role).toBe(role);
    else expectProblem(response, 403, 'permission_denied');
    const after = await organizationOf(acme);
    expect(after?.metadata).toEqual(status === 200 ? { by: role } : {});
  });
});

/** An object of so many levels. */
function nested(levels: number): object {
  return levels === 1 ? {} : { a: nested(levels - 1) };
}
