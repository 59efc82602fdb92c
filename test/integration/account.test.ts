import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem, pathsOf } from '../support/api.ts';
import { contradictions } from '../support/database-truth.ts';
import { aMember } from '../support/members.ts';
import {
  expectStatus,
  signUpAndIn,
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

type Auth = { authorization: string };

const me = (headers: Auth) => service.app.inject({ url: '/admin/me', headers });
const change = (headers: Auth, payload: object) =>
  service.app.inject({ method: 'PATCH', url: '/admin/me', headers, payload });
const sessions = (headers: Auth, query: Record<string, string> = {}) =>
  service.app.inject({ url: '/admin/sessions', headers, query });
const switchTo = (headers: Auth, payload: object) =>
  service.app.inject({ method: 'POST', url: '/admin/switch', headers, payload });
const organizations = (headers: Auth, query: Record<string, string> = {}) =>
  service.app.inject({ url: '/admin/organizations', headers, query });

const authOf = (tokens: { access_token: string }): Auth => bearer(tokens).headers;

describe('one’s own account', () => {
  test('says who one is and what one may do', async () => {
    const acme = await signUpAndIn(service);
    const viewer = await aMember(service, acme, 'viewer');
    expect(expectStatus(await me(viewer.auth), 200).json()).toEqual({
      id: viewer.id,
      email: viewer.email,
      pending_email: null,
      name: null,
      created_at: expect.stringMatching(/Z$/),
      organization: {
        id: acme.organization.id,
        organization_name: acme.organization.organization_name,
        role: 'viewer',
      },
      mfa: { totp: false, recovery_codes_left: 0 },
      permissions: ['org:read', 'member:read', 'record:read', 'usage:read'],
    });
  });

  test('takes a name, trimmed, and gives it up again', async () => {
    const acme = await signUpAndIn(service);
    const named = expectStatus(await change(acme.auth, { name: ' Ada Lovelace ' }), 200).json();
    expect(named.name).toBe('Ada Lovelace');
    expect(expectStatus(await me(acme.auth), 200).json().name).toBe('Ada Lovelace');
    expect(expectStatus(await change(acme.auth, { name: null }), 200).json().name).toBeNull();
  });

  test('takes a new password for the present one, and ends the other sessions', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const elsewhere = expectStatus(await api.login({ email, password }), 200).json();
    const next = 'an entirely different passphrase';
    const both = { password: next, current_password: password };
    expectStatus(await change(acme.auth, both), 200);
    expectStatus(await me(acme.auth), 200);
    expectProblem(await me(authOf(elsewhere)), 401, 'invalid_token');
    expectProblem(await api.login({ email, password }), 401, 'invalid_credentials');
    expectStatus(await api.login({ email, password: next }), 200);
  });

  test('keeps its password without the present one', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const next = 'an entirely different passphrase';
    for (const body of [
      { password: next },
      { password: next, current_password: 'wrong' },
      { current_password: password },
    ])
      expect(
        pathsOf(expectProblem(await change(acme.auth, body), 422, 'validation_failed')),
      ).toEqual(['/current_password']);
    expectStatus(await api.login({ email, password }), 200);
  });

  test('changed at the same time as somebody signs in with the old password leaves no session of it', async () => {
    for (let round = 0; round < 5; round += 1) {
      const acme = await signUpAndIn(service);
      const { email, password } = acme.signUp;
      const next = 'an entirely different passphrase';
      const [changed, ...logins] = await Promise.all([
        change(acme.auth, { password: next, current_password: password }),
        ...Array.from({ length: 5 }, () => api.login({ email, password })),
      ]);
      expectStatus(changed, 200);
      const mine = expectStatus(await sessions(acme.auth), 200).json().data;
      expect(mine).toHaveLength(1);
      for (const login of logins)
        if (login.statusCode === 200)
          expectProblem(await me(authOf(login.json())), 401, 'invalid_token');
    }
  });

  test.each([
    [{}, ['']],
    [{ name: '' }, ['/name']],
    [{ name: '  ' }, ['/name']],
    [{ name: 'a\nb' }, ['/name']],
    [{ name: '\u202eadA' }, ['/name']],
    [{ name: 'x'.repeat(201) }, ['/name']],
    [{ name: 1 }, ['/name']],
    [{ name: { $set: 1 } }, ['/name']],
    [{ password: 'short', current_password: 'x' }, ['/password']],
    [{ password: ['x'] }, ['/password']],
    [{ id: 'x' }, ['/id']],
    [{ role: 'owner' }, ['/role']],
  ])('refuses %j', async (body, paths) => {
    const acme = await signUpAndIn(service);
    expect(pathsOf(expectProblem(await change(acme.auth, body), 422, 'validation_failed'))).toEqual(
      paths,
    );
  });
});

describe('sessions', () => {
  test('are listed with device, address and times, and end one by one', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const headers = { 'user-agent': 'Tablet' };
    const tablet = expectStatus(await api.login({ email, password }, { headers }), 200).json();
    const { data } = expectStatus(await sessions(acme.auth), 200).json();
    expect(data).toHaveLength(2);
    expect(data[0]).toMatchObject({ current: true, organization_id: acme.organization.id });
    expect(data[1]).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      organization_id: acme.organization.id,
      device: 'Tablet',
      address: '127.0.0.1',
      created_at: service.clock.now().toISOString(),
      last_used_at: service.clock.now().toISOString(),
      expires_at: new Date(service.clock.now().getTime() + 7 * 86_400_000).toISOString(),
      current: false,
    });
    const url = `/admin/sessions/${data[1].id}`;
    const end = () => service.app.inject({ method: 'DELETE', url, headers: acme.auth });
    expectStatus(await end(), 204);
    expectProblem(await me(authOf(tablet)), 401, 'invalid_token');
    expectProblem(await api.refresh(tablet.refresh_token), 401, 'invalid_refresh_token');
    expectProblem(await end(), 404, 'session_not_found');
  });

  test('of others are not there', async () => {
    const acme = await signUpAndIn(service);
    const other = await aMember(service, acme, 'owner');
    const [theirs] = expectStatus(await sessions(other.auth), 200).json().data;
    const url = `/admin/sessions/${theirs.id}`;
    const answer = await service.app.inject({ method: 'DELETE', url, headers: acme.auth });
    expectProblem(answer, 404, 'session_not_found');
    expectStatus(await me(other.auth), 200);
  });

  test('all end but this one', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    for (let n = 0; n < 4; n += 1) expectStatus(await api.login({ email, password }), 200);
    const url = '/admin/sessions';
    expectStatus(await service.app.inject({ method: 'DELETE', url, headers: acme.auth }), 204);
    expect(expectStatus(await sessions(acme.auth), 200).json().data).toMatchObject([
      { current: true },
    ]);
  });

  test('that have ended are not listed, and the list comes in pages', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    service.clock.advance(6 * 86_400_000);
    const now = expectStatus(await api.login({ email, password }), 200).json();
    service.clock.advance(86_400_000);
    const again = expectStatus(await api.login({ email, password }), 200).json();
    expect(again.refresh_token).not.toBe(now.refresh_token);
    const first = expectStatus(await sessions(authOf(again), { limit: '1' }), 200).json();
    expect(first.data).toHaveLength(1);
    const rest = await sessions(authOf(again), { limit: '1', after: first.next_cursor });
    expect(expectStatus(rest, 200).json()).toMatchObject({
      data: [{ current: true }],
      next_cursor: null,
    });
  });
});

describe('going to another organization', () => {
  test('gives tokens for it, by id or by name; those one has stay good', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const globex = await signUpAndIn(service, { email, password });
    for (const wanted of [
      { organization_id: acme.organization.id },
      { organization_name: acme.organization.organization_name.toUpperCase() },
    ]) {
      const answer = expectStatus(await switchTo(globex.auth, wanted), 200);
      expect(answer.headers['cache-control']).toBe('no-store');
      const there = answer.json();
      expect(there.organization).toMatchObject({ id: acme.organization.id, role: 'owner' });
      expect(expectStatus(await me(authOf(there)), 200).json().organization.id).toBe(
        acme.organization.id,
      );
      expect(expectStatus(await me(globex.auth), 200).json().organization.id).toBe(
        globex.organization.id,
      );
      expectStatus(await api.refresh(there.refresh_token), 200);
    }
    const next = expectStatus(await api.login({ email, password }), 200).json();
    expect(next.organization.id).toBe(acme.organization.id);
  });

  test('is only for one’s own', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    for (const wanted of [
      { organization_id: globex.organization.id },
      { organization_name: globex.organization.organization_name },
      { organization_id: new ObjectId().toHexString() },
      { organization_name: 'There is none' },
    ])
      expectProblem(await switchTo(acme.auth, wanted), 404, 'organization_not_found');
  });

  test.each([{}, { organization_id: 'x' }, { organization_id: 1 }, { organization_name: '' }])(
    'needs to know which: %j',
    async (wanted) => {
      const acme = await signUpAndIn(service);
      expectProblem(await switchTo(acme.auth, wanted), 422, 'validation_failed');
    },
  );

  test('takes one name, not two', async () => {
    const acme = await signUpAndIn(service);
    const { id: organization_id, organization_name } = acme.organization;
    const both = { organization_id, organization_name };
    expectProblem(await switchTo(acme.auth, both), 422, 'validation_failed');
  });

  test('works for somebody with a thousand of them, page by page', async () => {
    const acme = await signUpAndIn(service);
    const {
      admins,
      organizations: registry,
      memberships,
    } = {
      admins: service.db.collection('admins'),
      organizations: service.db.collection('organizations'),
      memberships: service.db.collection('memberships'),
    };
    const admin = await admins.findOne({ email: acme.signUp.email });
    const template = await registry.findOne({ _id: new ObjectId(acme.organization.id) });
    const copies = Array.from({ length: 1_000 }, (_, n) => ({
      ...template,
      _id: new ObjectId(),
      organization_name: `Copy ${n} of ${acme.organization.id}`,
      held: { slugs: [`copy_${n}`], skeletons: [`copy_${n}`], external_ids: [] },
    }));
    await registry.insertMany(copies);
    await memberships.insertMany(
      copies.map(({ _id }) => ({
        ...{ organization_id: _id, admin_id: admin?._id, role: 'viewer', version: 0 },
        created_at: service.clock.now(),
      })),
    );
    const seen = new Set<string>();
    for (let after: string | null = ''; after !== null; ) {
      const query: Record<string, string> = { limit: '200', ...(after && { after }) };
      const page: { data: { id: string }[]; next_cursor: string | null } = expectStatus(
        await organizations(acme.auth, query),
        200,
      ).json();
      for (const { id } of page.data) seen.add(id);
      after = page.next_cursor;
    }
    expect(seen.size).toBe(1_001);
    const { email, password } = acme.signUp;
    const login = expectStatus(await api.login({ email, password }), 200).json();
    expect(login.organizations).toHaveLength(1_001);
    const ids = { $in: copies.map(({ _id }) => _id) };
    await registry.deleteMany({ _id: ids });
    await memberships.deleteMany({ organization_id: ids });
  });
});
