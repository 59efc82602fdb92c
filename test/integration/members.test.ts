import { randomBytes } from 'node:crypto';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, tally } from '../support/api.ts';
import { contradictions } from '../support/database-truth.ts';
import { adminIdOf, aMember } from '../support/members.ts';
import {
  expectStatus,
  type SignedUp,
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
  expect(await contradictions(service.db)).toEqual([]);
  await second[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

type Auth = { authorization: string };

const list = (headers: Auth, query: Record<string, string> = {}) =>
  service.app.inject({ url: '/org/members', headers, query });
const setRole = (headers: Auth, id: string, role: string, by = service) =>
  by.app.inject({ method: 'PATCH', url: `/org/members/${id}`, headers, payload: { role } });
const remove = (headers: Auth, id: string, by = service) =>
  by.app.inject({ method: 'DELETE', url: `/org/members/${id}`, headers });
const leave = (headers: Auth) => service.app.inject({ method: 'POST', url: '/org/leave', headers });
const transfer = (headers: Auth, admin_id: string, by = service) =>
  by.app.inject({ method: 'POST', url: '/org/transfer', headers, payload: { admin_id } });
const me = (headers: Auth, by = service) => by.app.inject({ url: '/admin/me', headers });

async function rolesOf({ organization }: SignedUp): Promise<Record<string, number>> {
  const filter = { organization_id: new ObjectId(organization.id) };
  const found = await service.db.collection('memberships').find(filter).toArray();
  const counts: Record<string, number> = {};
  for (const { role } of found) counts[role] = (counts[role] ?? 0) + 1;
  return counts;
}

describe('the list', () => {
  test('has everybody, longest first, and nothing secret', async () => {
    const acme = await signUpAndIn(service);
    const editor = await aMember(service, acme, 'editor');
    const { data, next_cursor } = expectStatus(await list(editor.auth), 200).json();
    expect(next_cursor).toBeNull();
    expect(data).toEqual([
      {
        id: await adminIdOf(service, acme),
        email: acme.signUp.email,
        name: null,
        role: 'owner',
        joined_at: expect.stringMatching(/Z$/),
      },
      expect.objectContaining({ id: editor.id, email: editor.email, role: 'editor' }),
    ]);
  });

  test('comes in pages that together are all of it, also while people join', async () => {
    const acme = await signUpAndIn(service);
    const organization_id = new ObjectId(acme.organization.id);
    const newcomers = (count: number) =>
      Array.from({ length: count }, () => ({
        _id: new ObjectId(),
        email: `${randomBytes(8).toString('hex')}@x.example`,
      }));
    const join = async (people: { _id: ObjectId; email: string }[]) => {
      const common = { name: null, membership_version: 1, last_organization_id: null };
      await service.db
        .collection('admins')
        .insertMany(people.map((one) => ({ ...common, ...one })));
      await service.db.collection('memberships').insertMany(
        people.map(({ _id }) => ({
          ...{ organization_id, admin_id: _id, role: 'viewer', version: 0 },
          created_at: service.clock.now(),
        })),
      );
    };
    await join(newcomers(1_000));
    const seen: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const query: Record<string, string> = { limit: '200', ...(after && { after }) };
      const page: { data: { id: string }[]; next_cursor: string | null } = expectStatus(
        await list(acme.auth, query),
        200,
      ).json();
      seen.push(...page.data.map(({ id }) => id));
      if (seen.length === 200) await join(newcomers(1));
      after = page.next_cursor;
    }
    expect(seen).toHaveLength(1_002);
    expect(new Set(seen).size).toBe(1_002);
    // As many go with the organization, accounts and all.
    const { auth: headers } = acme;
    expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
  });

  test.each(['x', 'AAAA', '%00', 'avHA_-4N26Ecp1o='])('refuses the cursor %j', async (after) => {
    const acme = await signUpAndIn(service);
    expectProblem(await list(acme.auth, { after }), 400, 'invalid_cursor');
  });

  test.each(['0', '201', '-1', '1.5', 'all', ''])('refuses the limit %j', async (limit) => {
    const acme = await signUpAndIn(service);
    expectProblem(await list(acme.auth, { limit }), 400, 'invalid_querystring');
  });
});

describe('another role', () => {
  test('counts at once, for the token that was there before, and on the other instance', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'viewer');
    for (const one of [service, second]) expectStatus(await me(member.auth, one), 200);
    const changed = expectStatus(await setRole(acme.auth, member.id, 'admin'), 200).json();
    expect(changed).toMatchObject({ id: member.id, email: member.email, role: 'admin' });
    expect(expectStatus(await me(member.auth), 200).json().organization.role).toBe('admin');
    service.clock.advance(1_000);
    const there = expectStatus(await me(member.auth, second), 200).json();
    expect(there.organization.role).toBe('admin');
    expect(there.permissions).toContain('member:write');
  });

  test('cannot be given by somebody who lacks a part of it', async () => {
    const acme = await signUpAndIn(service);
    const admin = await aMember(service, acme, 'admin');
    const editor = await aMember(service, acme, 'editor');
    expectProblem(await setRole(admin.auth, editor.id, 'owner'), 403, 'permission_not_held');
    expectProblem(await setRole(admin.auth, admin.id, 'owner'), 403, 'permission_not_held');
    expectProblem(await setRole(editor.auth, editor.id, 'admin'), 403, 'permission_denied');
    expectStatus(await setRole(admin.auth, editor.id, 'admin'), 200);
  });

  test('cannot be taken by somebody who lacks a part of it', async () => {
    const acme = await signUpAndIn(service);
    const admin = await aMember(service, acme, 'admin');
    const owner = await adminIdOf(service, acme);
    await aMember(service, acme, 'owner');
    expectProblem(await setRole(admin.auth, owner, 'viewer'), 403, 'permission_not_held');
    expectProblem(await remove(admin.auth, owner), 403, 'permission_not_held');
    expect(await rolesOf(acme)).toEqual({ owner: 2, admin: 1 });
  });

  test('that does not exist is refused, and named', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'viewer');
    const problem = expectProblem(await setRole(acme.auth, member.id, 'boss'), 422, 'unknown_role');
    expect(problem.errors).toEqual([{ path: '/role', message: expect.stringContaining('boss') }]);
  });

  test.each([null, '', 1, ['owner'], { $gt: '' }, 'Owner', '__proto__', 'a'.repeat(51)])(
    'that is %j is refused',
    async (role) => {
      const acme = await signUpAndIn(service);
      const id = await adminIdOf(service, acme);
      const payload = { role };
      const url = `/org/members/${id}`;
      const headers = acme.auth;
      const answer = await service.app.inject({ method: 'PATCH', url, headers, payload });
      expectProblem(answer, 422, 'validation_failed');
    },
  );

  test('of somebody who is no member, or of another organization, is not there to change', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    const stranger = await aMember(service, globex, 'viewer');
    for (const id of [stranger.id, new ObjectId().toHexString()]) {
      expectProblem(await setRole(acme.auth, id, 'admin'), 404, 'member_not_found');
      expectProblem(await remove(acme.auth, id), 404, 'member_not_found');
      expectProblem(await transfer(acme.auth, id), 404, 'member_not_found');
    }
    expect(await rolesOf(globex)).toEqual({ owner: 1, viewer: 1 });
  });
});

describe('an organization always has an owner', () => {
  test('so the last one stays one', async () => {
    const acme = await signUpAndIn(service);
    const id = await adminIdOf(service, acme);
    expectProblem(await setRole(acme.auth, id, 'admin'), 409, 'last_owner');
    expectProblem(await remove(acme.auth, id), 409, 'last_owner');
    expectProblem(await leave(acme.auth), 409, 'last_owner');
    expect(await rolesOf(acme)).toEqual({ owner: 1 });
  });

  test('although ten demotions of both owners come at once, on two instances', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(service);
      const first = await adminIdOf(service, acme);
      const other = await aMember(service, acme, 'owner');
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          n % 2 === 0
            ? setRole(other.auth, first, 'viewer', n % 4 === 0 ? service : second)
            : setRole(acme.auth, other.id, 'viewer', n % 3 === 0 ? service : second),
        ),
      );
      expect(await rolesOf(acme), JSON.stringify(tally(answers))).toEqual({ owner: 1, viewer: 1 });
    }
  });

  test('although all of them leave at once, or are removed, or hand it over', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(service);
      const first = await adminIdOf(service, acme);
      const others = [
        await aMember(service, acme, 'owner'),
        await aMember(service, acme, 'owner'),
        await aMember(service, acme, 'owner'),
      ] as const;
      await Promise.all([
        leave(acme.auth),
        remove(others[0].auth, first, second),
        remove(acme.auth, others[0].id, second),
        leave(others[1].auth),
        transfer(others[2].auth, others[1].id, second),
        setRole(others[0].auth, others[2].id, 'viewer'),
      ]);
      expect((await rolesOf(acme)).owner).toBeGreaterThan(0);
    }
  });
});

describe('who is removed', () => {
  test('is out at once, and keeps what they have elsewhere', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'admin');
    for (const one of [service, second]) expectStatus(await me(member.auth, one), 200);
    expect(expectStatus(await remove(acme.auth, member.id), 204).body).toBe('');
    expectProblem(await me(member.auth), 401, 'invalid_token');
    service.clock.advance(1_000);
    expectProblem(await me(member.auth, second), 401, 'invalid_token');
    const refreshed = await service.app.inject({
      ...{ method: 'POST', url: '/admin/refresh' },
      payload: { refresh_token: member.tokens.refresh_token },
    });
    expectProblem(refreshed, 401, 'invalid_refresh_token');
    const { email, password } = member;
    const login = await service.app.inject({
      ...{ method: 'POST', url: '/admin/login' },
      payload: { email, password },
    });
    expect(expectStatus(login, 200).json().organizations).toHaveLength(1);
    expectProblem(await remove(acme.auth, member.id), 404, 'member_not_found');
  });

  test('and belongs nowhere else has no account any more', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'viewer');
    const own = await service.app.inject({
      ...{ method: 'POST', url: '/admin/login' },
      payload: { email: member.email, password: member.password },
    });
    const elsewhere = own
      .json()
      .organizations.find(({ id }: { id: string }) => id !== acme.organization.id);
    const { email, password } = member;
    const payload = { email, password, organization_name: elsewhere.organization_name };
    const there = expectStatus(
      await service.app.inject({ method: 'POST', url: '/admin/login', payload }),
      200,
    ).json();
    const headers = { authorization: `Bearer ${there.access_token}` };
    expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    expectStatus(await leave(member.auth), 204);
    expect(await service.db.collection('admins').findOne({ email })).toBeNull();
  });
});

describe('a transfer', () => {
  test('makes the other an owner and oneself an admin', async () => {
    const acme = await signUpAndIn(service);
    const heir = await aMember(service, acme, 'viewer');
    expectStatus(await transfer(acme.auth, heir.id), 204);
    expect(await rolesOf(acme)).toEqual({ owner: 1, admin: 1 });
    expectProblem(await transfer(acme.auth, heir.id), 403, 'permission_denied');
    expect(expectStatus(await me(heir.auth), 200).json().organization.role).toBe('owner');
  });

  test('to oneself changes nothing', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await transfer(acme.auth, await adminIdOf(service, acme)), 204);
    expect(await rolesOf(acme)).toEqual({ owner: 1 });
  });

  test('of two at once to each other, or to one who is being removed, leaves one owner at least', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(service);
      const heir = await aMember(service, acme, 'viewer');
      const other = await aMember(service, acme, 'owner');
      await Promise.all([
        transfer(acme.auth, heir.id),
        transfer(other.auth, heir.id, second),
        remove(other.auth, heir.id, second),
      ]);
      expect((await rolesOf(acme)).owner).toBeGreaterThan(0);
      const pending = await service.db
        .collection('memberships')
        .countDocuments({ pending: { $exists: true } });
      expect(pending).toBe(0);
    }
  });
});

describe('what a crash interrupts', () => {
  async function membershipOf({ organization }: SignedUp, adminId: string) {
    const filter = {
      organization_id: new ObjectId(organization.id),
      admin_id: new ObjectId(adminId),
    };
    const found = await service.db.collection('memberships').findOne(filter);
    if (found === null) throw new Error('no such membership');
    return found;
  }

  /** Leaves a mark as an instance does that dies right after it. */
  async function interrupt(acme: SignedUp, adminId: string, pending: object): Promise<void> {
    const { _id } = await membershipOf(acme, adminId);
    const marked = { pending: { since: service.clock.now(), ...pending } };
    await service.db
      .collection('memberships')
      .updateOne({ _id }, { $set: marked, $inc: { version: 1 } });
  }

  async function recover(): Promise<void> {
    service.clock.advance(3_001);
    await Promise.all(
      [service, second].map((one) => one.services.memberChanges.finishInterrupted()),
    );
  }

  test('of a removal is finished: who was marked is out before, and gone afterwards', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'viewer');
    await interrupt(acme, member.id, { kind: 'remove' });
    expect(expectStatus(await list(acme.auth), 200).json().data).toHaveLength(1);
    service.clock.advance(1_000);
    expectProblem(await me(member.auth), 401, 'invalid_token');
    await recover();
    expect(await rolesOf(acme)).toEqual({ owner: 1 });
  });

  test('of a transfer is finished, whichever step it got to', async () => {
    for (const promoted of [false, true]) {
      const acme = await signUpAndIn(service);
      const heir = await aMember(service, acme, 'viewer');
      const { _id: to, version: to_version } = await membershipOf(acme, heir.id);
      const owner = await adminIdOf(service, acme);
      await interrupt(acme, owner, { kind: 'transfer', to, to_version });
      if (promoted)
        await service.db
          .collection('memberships')
          .updateOne({ _id: to }, { $set: { role: 'owner' }, $inc: { version: 1 } });
      await recover();
      expect(await rolesOf(acme)).toEqual({ owner: 1, admin: 1 });
      expect((await membershipOf(acme, heir.id)).role).toBe('owner');
    }
  });

  test('of a transfer is dropped when the heir was changed or removed meanwhile', async () => {
    const acme = await signUpAndIn(service);
    const owner = await adminIdOf(service, acme);
    const heir = await aMember(service, acme, 'viewer');
    const { _id: to, version: to_version } = await membershipOf(acme, heir.id);
    await interrupt(acme, owner, { kind: 'transfer', to, to_version });
    await service.db
      .collection('memberships')
      .updateOne({ _id: to }, { $set: { role: 'editor' }, $inc: { version: 1 } });
    await recover();
    expect(await rolesOf(acme)).toEqual({ owner: 1, editor: 1 });
    await interrupt(acme, owner, { kind: 'transfer', to, to_version: to_version + 1 });
    await interrupt(acme, heir.id, { kind: 'remove' });
    await recover();
    await recover();
    expect(await rolesOf(acme)).toEqual({ owner: 1 });
    expect((await membershipOf(acme, owner)).pending).toBeUndefined();
  });

  test('is left alone as long as its instance may still be at it', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'viewer');
    await interrupt(acme, member.id, { kind: 'remove' });
    await service.services.memberChanges.finishInterrupted();
    expect(await rolesOf(acme)).toEqual({ owner: 1, viewer: 1 });
    await recover();
    expect(await rolesOf(acme)).toEqual({ owner: 1 });
  });
});
