import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Permission } from '../../src/roles/permissions.ts';
import { expectProblem, pathsOf } from '../support/api.ts';
import {
  type Auth,
  deleteKey,
  listKeys,
  makeKey,
  postKey,
  readOrganization,
  withKey,
} from '../support/api-keys.ts';
import { changingNothing } from '../support/database-truth.ts';
import { aMember } from '../support/members.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let acme: SignedUp;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
});
afterAll(() => service[Symbol.asyncDispose]());

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

function send(headers: Auth, method: Method, url: string, payload?: object) {
  return service.app.inject({ method, url, headers, ...(payload && { payload }) });
}

/** A request of each operation, which would be right but for the permission. */
const REQUESTS: readonly [Permission, Method, string, object?][] = [
  ['org:update', 'PUT', '/org/update', { metadata: { by: 'a machine' } }],
  ['org:delete', 'DELETE', '/org/delete'],
  ['member:read', 'GET', '/org/members'],
  ['member:write', 'PATCH', `/org/members/${new ObjectId()}`, { role: 'viewer' }],
  ['member:write', 'DELETE', `/org/members/${new ObjectId()}`],
  ['member:read', 'GET', '/org/roles'],
  ['role:write', 'POST', '/org/roles', { name: 'clerk', permissions: [] }],
  ['role:write', 'PUT', '/org/roles/nobody', { permissions: [] }],
  ['role:write', 'DELETE', '/org/roles/nobody'],
  ['api_key:write', 'GET', '/org/api-keys'],
  ['api_key:write', 'DELETE', `/org/api-keys/${new ObjectId()}`],
];

describe('a key is for what it was made for', () => {
  test.each(REQUESTS)('%s: %s %s', async (permission, method, url, body) => {
    const own = await signUpAndIn(service);
    const others = REQUESTS.map(([one]) => one).filter((one) => one !== permission);
    const lacking = await makeKey(service, own.auth, [...new Set(others)]);
    await changingNothing(service.db, async () => {
      const refused = await send(withKey(lacking), method, url, body);
      const problem = expectProblem(refused, 403, 'permission_denied');
      expect(problem.detail).toContain(permission);
    });
    const having = await makeKey(service, own.auth, [permission]);
    const response = await send(withKey(having), method, url, body);
    expect([200, 201, 404], response.body).toContain(response.statusCode);
  });

  test('without org:read it sees of its organization what everybody sees', async () => {
    const key = await makeKey(service, acme.auth, ['record:read']);
    const seen = expectStatus(await readOrganization(service, withKey(key)), 200).json();
    expect(seen).not.toHaveProperty('members');
    const full = await makeKey(service, acme.auth, ['org:read']);
    const more = expectStatus(await readOrganization(service, withKey(full)), 200).json();
    expect(more).toMatchObject({ members: 1 });
  });
});

describe('what is for people', () => {
  test.each<[Method, string, object?]>([
    ['GET', '/admin/me'],
    ['PATCH', '/admin/me', { name: 'Not Ada' }],
    ['GET', '/admin/organizations'],
    ['POST', '/admin/switch', { organization_id: '66f1c0ffee0ddba11ca75a1e' }],
    ['POST', '/admin/logout'],
    ['GET', '/admin/sessions'],
    ['DELETE', '/admin/sessions'],
    ['DELETE', '/admin/sessions/66f1c0ffee0ddba11ca75a1e'],
    ['POST', '/org/leave'],
  ])('%s %s answers a key with 403', async (method, url, body) => {
    const everything = await makeKey(service, acme.auth, ['org:read', 'org:update', 'org:delete']);
    await changingNothing(service.db, async () => {
      const response = await send(withKey(everything), method, url, body);
      expectProblem(response, 403, 'person_required');
    });
  });

  test('an organization is handed over by its owner, and its password changed by its bearer', async () => {
    const key = await makeKey(service, acme.auth, ['org:update', 'member:write']);
    const admin = await service.db.collection('admins').findOne({ email: acme.signUp.email });
    await changingNothing(service.db, async () => {
      const transfer = { admin_id: String(admin?._id) };
      const refused = await send(withKey(key), 'POST', '/org/transfer', transfer);
      expectProblem(refused, 403, 'permission_denied');
      for (const own of [{ email: 'machine@acme.example' }, { password: 'a fine new password' }])
        expectProblem(
          await send(withKey(key), 'PUT', '/org/update', { metadata: {}, ...own }),
          403,
          'person_required',
        );
    });
  });
});

describe('nobody gives or takes what they lack', () => {
  test('a person', async () => {
    const admin = await aMember(service, acme, 'admin');
    const body = { name: 'Too much', permissions: ['org:read', 'org:delete'] };
    await changingNothing(service.db, async () => {
      const problem = expectProblem(
        await postKey(service, admin.auth, body),
        403,
        'permission_not_held',
      );
      expect(problem.detail).toContain('org:delete');
      expect(problem.detail).not.toContain('org:read');
    });
    const owners = await makeKey(service, acme.auth, ['org:delete']);
    const ownersSmall = await makeKey(service, acme.auth, ['org:read']);
    // It is there to be seen, with all it may do.
    expect((await listKeys(service, admin.auth)).body).toContain(owners.id);
    await changingNothing(service.db, async () => {
      const refused = await deleteKey(service, admin.auth, owners.id);
      expectProblem(refused, 403, 'permission_not_held');
    });
    expectStatus(await deleteKey(service, admin.auth, ownersSmall.id), 204);
    expectStatus(await deleteKey(service, acme.auth, owners.id), 204);
  });

  test.each(['viewer', 'editor'])('%s: may have to do with no keys at all', async (role) => {
    const person = await aMember(service, acme, role);
    const { id } = await makeKey(service, acme.auth, ['org:read']);
    const body = { name: 'A key', permissions: ['org:read'] };
    for (const response of [
      await listKeys(service, person.auth),
      await postKey(service, person.auth, body),
      await deleteKey(service, person.auth, id),
    ])
      expectProblem(response, 403, 'permission_denied');
  });

  test('a key: it makes others within its own permissions and its own time', async () => {
    const inAnHour = new Date(service.clock.now().getTime() + 3_600_000);
    const parent = await makeKey(service, acme.auth, ['api_key:write', 'org:read'], {
      expires_at: inAnHour.toISOString(),
    });
    const auth = withKey(parent);
    expect((await makeKey(service, auth, ['org:read'])).expires_at).toBe(inAnHour.toISOString());
    const sooner = new Date(inAnHour.getTime() - 1).toISOString();
    const child = await makeKey(service, auth, ['org:read'], { expires_at: sooner });
    expect(child.expires_at).toBe(sooner);

    const body = { name: 'Too much', permissions: ['org:read'] };
    await changingNothing(service.db, async () => {
      const more = { ...body, permissions: ['org:update'] };
      expectProblem(await postKey(service, auth, more), 403, 'permission_not_held');
      const later = new Date(inAnHour.getTime() + 1).toISOString();
      const response = await postKey(service, auth, { ...body, expires_at: later });
      expect(pathsOf(expectProblem(response, 422, 'validation_failed'))).toEqual(['/expires_at']);
      expectProblem(await postKey(service, withKey(child), body), 403, 'permission_denied');
    });
    const endless = await makeKey(service, acme.auth, ['api_key:write']);
    expect((await makeKey(service, withKey(endless), ['api_key:write'])).expires_at).toBeNull();

    // What it made is not its own: it stays.
    expectStatus(await deleteKey(service, auth, parent.id), 204);
    expectProblem(await readOrganization(service, auth), 401, 'invalid_token');
    expectStatus(await readOrganization(service, withKey(child)), 200);
  });

  test('a key cannot raise a member, or make a role, above itself', async () => {
    const person = await aMember(service, acme, 'viewer');
    const key = await makeKey(service, acme.auth, ['member:write', 'role:write', 'org:read']);
    const member = `/org/members/${person.id}`;
    await changingNothing(service.db, async () => {
      for (const response of [
        await send(withKey(key), 'PATCH', member, { role: 'owner' }),
        await send(withKey(key), 'PATCH', member, { role: 'admin' }),
        await send(withKey(key), 'DELETE', member),
        await send(withKey(key), 'POST', '/org/roles', {
          name: 'above',
          permissions: ['org:delete'],
        }),
      ])
        expectProblem(response, 403, 'permission_not_held');
    });
  });
});

test('a key opens nothing of another organization', async () => {
  const globex = await signUpAndIn(service);
  const key = await makeKey(service, globex.auth, ['org:read', 'org:update', 'org:delete']);
  const { organization_name } = acme.organization;
  await changingNothing(service.db, async () => {
    const seen = await service.app.inject({
      url: '/org/get',
      query: { organization_name },
      headers: withKey(key),
    });
    expect(expectStatus(seen, 200).json()).not.toHaveProperty('members');
    const named = { organization_name, new_organization_name: 'Taken over' };
    expect((await send(withKey(key), 'PUT', '/org/update', named)).statusCode).toBe(403);
    const url = `/org/delete?organization_name=${encodeURIComponent(organization_name)}`;
    expect((await send(withKey(key), 'DELETE', url)).statusCode).toBe(403);
  });
});
