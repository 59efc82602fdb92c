import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUILT_IN_ROLES, GRANTABLE_PERMISSIONS } from '../../src/roles/permissions.ts';
import { expectProblem, pathsOf, tally } from '../support/api.ts';
import { aMember } from '../support/members.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let second: TestService;
beforeAll(async () => {
  service = await startTestService();
  const { masterDatabase: database } = service.settings;
  second = await startTestService({ database, clock: service.clock });
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

type Auth = { authorization: string };

const list = (headers: Auth) => service.app.inject({ url: '/org/roles', headers });
const create = (headers: Auth, payload: object, by = service) =>
  by.app.inject({ method: 'POST', url: '/org/roles', headers, payload });
const replace = (headers: Auth, name: string, payload: object, by = service) =>
  by.app.inject({ method: 'PUT', url: `/org/roles/${name}`, headers, payload });
const remove = (headers: Auth, name: string, by = service) =>
  by.app.inject({ method: 'DELETE', url: `/org/roles/${name}`, headers });
const give = (headers: Auth, id: string, role: string, by = service) =>
  by.app.inject({ method: 'PATCH', url: `/org/members/${id}`, headers, payload: { role } });
const members = (headers: Auth, by = service) => by.app.inject({ url: '/org/members', headers });

const READER = { name: 'reader', description: 'Reads', permissions: ['org:read', 'member:read'] };

describe('the list', () => {
  test('has the built-in roles, strongest first, then the organization’s own', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await create(acme.auth, READER), 201);
    const viewer = await aMember(service, acme, 'viewer');
    const { data } = expectStatus(await list(viewer.auth), 200).json();
    const names = data.map(({ name }: { name: string }) => name);
    expect(names).toEqual([...BUILT_IN_ROLES, 'reader']);
    expect(data[4]).toEqual({
      ...READER,
      permissions: ['member:read', 'org:read'],
      built_in: false,
    });
    const admin = data[1].permissions;
    expect(GRANTABLE_PERMISSIONS.filter((one) => !admin.includes(one))).toEqual(['org:delete']);
  });

  test('is the organization’s own', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    expectStatus(await create(acme.auth, READER), 201);
    expect(expectStatus(await list(globex.auth), 200).json().data).toHaveLength(4);
    expectProblem(await remove(globex.auth, 'reader'), 404, 'role_not_found');
    expectProblem(await replace(globex.auth, 'reader', { permissions: [] }), 404, 'role_not_found');
    const member = await aMember(service, globex, 'viewer');
    expectProblem(await give(globex.auth, member.id, 'reader'), 422, 'unknown_role');
  });
});

describe('a role of one’s own', () => {
  test('allows what it says, and nothing else', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await create(acme.auth, READER), 201);
    const member = await aMember(service, acme, 'viewer');
    expectStatus(await give(acme.auth, member.id, 'reader'), 200);
    expectStatus(await members(member.auth), 200);
    expectProblem(await give(member.auth, member.id, 'reader'), 403, 'permission_denied');
  });

  test('counts at once when it is changed, and within a second on the other instance', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await create(acme.auth, READER), 201);
    const member = await aMember(service, acme, 'viewer');
    expectStatus(await give(acme.auth, member.id, 'reader'), 200);
    for (const one of [service, second]) expectStatus(await members(member.auth, one), 200);
    expectStatus(await replace(acme.auth, 'reader', { permissions: ['org:read'] }), 200);
    expectProblem(await members(member.auth), 403, 'permission_denied');
    service.clock.advance(1_000);
    expectProblem(await members(member.auth, second), 403, 'permission_denied');
    expectStatus(await replace(acme.auth, 'reader', READER, second), 422);
    const { name: _, ...more } = READER;
    expectStatus(await replace(acme.auth, 'reader', more, second), 200);
    expectStatus(await members(member.auth, second), 200);
  });

  test('cannot hold what its author lacks, nor be changed or deleted by who lacks it', async () => {
    const acme = await signUpAndIn(service);
    const admin = await aMember(service, acme, 'admin');
    const strong = { name: 'closer', permissions: ['org:read', 'org:delete'] };
    expectProblem(await create(admin.auth, strong), 403, 'permission_not_held');
    expectStatus(await create(acme.auth, strong), 201);
    const weak = { permissions: ['org:read'] };
    expectProblem(await replace(admin.auth, 'closer', weak), 403, 'permission_not_held');
    expectProblem(await remove(admin.auth, 'closer'), 403, 'permission_not_held');
    expectProblem(await give(admin.auth, admin.id, 'closer'), 403, 'permission_not_held');
  });

  test('can never make owners', async () => {
    const acme = await signUpAndIn(service);
    const role = { name: 'almighty', permissions: ['org:transfer'] };
    expect(pathsOf(expectProblem(await create(acme.auth, role), 422, 'validation_failed'))).toEqual(
      ['/permissions/0'],
    );
  });

  test('is one of its name', async () => {
    const acme = await signUpAndIn(service);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => create(acme.auth, READER, n % 2 ? service : second)),
    );
    expect(tally(answers)).toEqual({ '201': 1, '409 role_taken': 19 });
    for (const name of BUILT_IN_ROLES)
      expectProblem(await create(acme.auth, { ...READER, name }), 409, 'role_taken');
  });

  test('of an idempotent request is made once, and keys of others are of no concern', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    const key = { 'idempotency-key': 'the-same-key' };
    for (const { auth } of [acme, globex]) {
      const first = expectStatus(await create({ ...auth, ...key }, READER), 201);
      const again = expectStatus(await create({ ...auth, ...key }, READER), 201);
      expect(again.headers['idempotent-replayed']).toBe('true');
      expect(first.headers['idempotent-replayed']).toBeUndefined();
      expect(again.body).toBe(first.body);
    }
  });

  test('that was deleted is made anew by the same idempotent request', async () => {
    const acme = await signUpAndIn(service);
    const headers = { ...acme.auth, 'idempotency-key': 'once-more' };
    expectStatus(await create(headers, READER), 201);
    expectStatus(await remove(acme.auth, 'reader'), 204);
    const again = expectStatus(await create(headers, READER), 201);
    expect(again.headers['idempotent-replayed']).toBeUndefined();
    expect(expectStatus(await list(acme.auth), 200).json().data).toHaveLength(5);
  });

  test('is refused past a hundred', async () => {
    const acme = await signUpAndIn(service);
    const organization_id = new ObjectId(acme.organization.id);
    const now = service.clock.now();
    const many = Array.from({ length: 100 }, (_, n) => ({
      ...{ organization_id, name: `role-${n}`, description: null, permissions: [] },
      ...{ created_at: now, updated_at: now },
    }));
    await service.db.collection('roles').insertMany(many);
    expectProblem(await create(acme.auth, READER), 409, 'role_limit_reached');
  });

  test('is refused past a hundred, although 30 are made at once', async () => {
    const acme = await signUpAndIn(service);
    const organization_id = new ObjectId(acme.organization.id);
    const now = service.clock.now();
    const many = Array.from({ length: 95 }, (_, n) => ({
      ...{ organization_id, name: `role-${n}`, description: null, permissions: [] },
      ...{ created_at: now, updated_at: now },
    }));
    await service.db.collection('roles').insertMany(many);
    const names = Array.from({ length: 30 }, (_, n) => `late-${n}`);
    const made = names.map((name) => create(acme.auth, { ...READER, name }));
    for (const answer of await Promise.all(made))
      if (answer.statusCode !== 201) expectProblem(answer, 409, 'role_limit_reached');
    const count = await service.db.collection('roles').countDocuments({ organization_id });
    expect(count).toBeLessThanOrEqual(100);
  });
});

describe('deleting a role', () => {
  test('is refused while somebody has it', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await create(acme.auth, READER), 201);
    const member = await aMember(service, acme, 'viewer');
    expectStatus(await give(acme.auth, member.id, 'reader'), 200);
    expectProblem(await remove(acme.auth, 'reader'), 409, 'role_in_use');
    expectStatus(await members(member.auth), 200);
    expectStatus(await give(acme.auth, member.id, 'viewer'), 200);
    expectStatus(await remove(acme.auth, 'reader'), 204);
    expectProblem(await remove(acme.auth, 'reader'), 404, 'role_not_found');
  });

  test('at the same time as it is given never leaves somebody with a role that is gone', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'viewer');
    for (let round = 0; round < 20; round += 1) {
      expectStatus(await create(acme.auth, READER), 201);
      await Promise.all([
        give(acme.auth, member.id, 'reader'),
        remove(acme.auth, 'reader', second),
      ]);
      const { data } = expectStatus(await members(acme.auth), 200).json();
      const { role } = data.find(({ id }: { id: string }) => id === member.id);
      const left = await service.db.collection('roles').countDocuments({
        organization_id: new ObjectId(acme.organization.id),
      });
      expect(['viewer 0', 'reader 1', 'viewer 1']).toContain(`${role} ${left}`);
      expectStatus(await give(acme.auth, member.id, 'viewer'), 200);
      if (left === 1) expectStatus(await remove(acme.auth, 'reader'), 204);
    }
  });

  test('that crashed half-way leaves a role that can be given again', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'viewer');
    expectStatus(await create(acme.auth, READER), 201);
    await service.db
      .collection('roles')
      .updateOne(
        { organization_id: new ObjectId(acme.organization.id) },
        { $set: { deleting_since: service.clock.now() } },
      );
    expectProblem(await give(acme.auth, member.id, 'reader'), 422, 'unknown_role');
    service.clock.advance(10_000);
    expectStatus(await give(acme.auth, member.id, 'reader'), 200);
  });

  test('and changing one is not for the built-in ones', async () => {
    const acme = await signUpAndIn(service);
    for (const name of BUILT_IN_ROLES) {
      expectProblem(await remove(acme.auth, name), 409, 'role_built_in');
      expectProblem(await replace(acme.auth, name, { permissions: [] }), 409, 'role_built_in');
    }
  });

  test('goes with the organization', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await create(acme.auth, READER), 201);
    const { auth: headers } = acme;
    expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    const organization_id = new ObjectId(acme.organization.id);
    expect(await service.db.collection('roles').countDocuments({ organization_id })).toBe(0);
  });
});

describe('bad input', () => {
  test.each([
    [{}, ['/name', '/permissions']],
    [{ ...READER, name: null }, ['/name']],
    [{ ...READER, name: 'A b' }, ['/name']],
    [{ ...READER, name: { $gt: '' } }, ['/name']],
    [{ ...READER, name: 'x'.repeat(51) }, ['/name']],
    [{ ...READER, permissions: 'org:read' }, ['/permissions']],
    [{ ...READER, permissions: Array.from({ length: 50 }, () => 'org:read') }, ['/permissions']],
    [{ ...READER, permissions: ['org:rule'] }, ['/permissions/0']],
    [{ ...READER, description: 'x'.repeat(501) }, ['/description']],
    [{ ...READER, description: '\u0000' }, ['/description']],
    [{ ...READER, built_in: true }, ['/built_in']],
  ])('%j is refused, by the name of the field', async (payload, paths) => {
    const acme = await signUpAndIn(service);
    const problem = expectProblem(await create(acme.auth, payload), 422, 'validation_failed');
    expect(pathsOf(problem)).toEqual(paths);
    expect(expectStatus(await list(acme.auth), 200).json().data).toHaveLength(4);
  });

  test.each(['Reader', '..', '%00', 'a b', '$ne'])('the path %j is refused', async (name) => {
    const acme = await signUpAndIn(service);
    const answer = await replace(acme.auth, encodeURIComponent(name), { permissions: [] });
    expect([400, 404]).toContain(answer.statusCode);
  });
});
