import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GRANTABLE_PERMISSIONS } from '../../src/roles/permissions.ts';
import { expectProblem, pathsOf, tally } from '../support/api.ts';
import {
  deleteKey,
  listKeys,
  makeKey,
  postKey,
  readOrganization,
  withKey,
} from '../support/api-keys.ts';
import { changingNothing, placesNaming } from '../support/database-truth.ts';
import { aMember } from '../support/members.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const DAY_MS = 24 * 3_600_000;

let service: TestService;
let acme: SignedUp;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
});
afterAll(() => service[Symbol.asyncDispose]());

function keysOf({ organization }: SignedUp) {
  const filter = { organization_id: new ObjectId(organization.id) };
  return service.db.collection('api_keys').find(filter).toArray();
}

function inMs(milliseconds: number): string {
  return new Date(service.clock.now().getTime() + milliseconds).toISOString();
}

test('the whole walk: made, shown once, listed, used, ended', async () => {
  const globex = await signUpAndIn(service);
  const { email } = globex.signUp;
  const admin = await service.db.collection('admins').findOne({ email });
  const response = await postKey(service, globex.auth, {
    name: '  Billing sync ',
    permissions: ['record:read', 'org:read'],
    expires_at: inMs(DAY_MS),
  });
  const { key, ...made } = expectStatus(response, 201).json();
  expect(response.headers['cache-control']).toBe('no-store');
  expect(made).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{24}$/),
    name: 'Billing sync',
    prefix: expect.stringMatching(/^tnt_[0-9A-Za-z]{12}$/),
    permissions: ['org:read', 'record:read'],
    created_at: inMs(0),
    created_by: { type: 'admin', id: String(admin?._id), email },
    expires_at: inMs(DAY_MS),
    last_used_at: null,
  });
  expect(key).toMatch(/^tnt_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
  expect(key.startsWith(`${made.prefix}_`)).toBe(true);

  const list = expectStatus(await listKeys(service, globex.auth), 200).json();
  expect(list).toEqual({ data: [made], next_cursor: null });

  const used = expectStatus(await readOrganization(service, withKey({ key })), 200).json();
  expect(used).toMatchObject({ id: globex.organization.id, members: 1 });
  expect(used).not.toHaveProperty('your_role');

  const ended = expectStatus(await deleteKey(service, globex.auth, made.id), 204);
  expect(ended.body).toBe('');
  const refused = await readOrganization(service, withKey({ key }));
  expectProblem(refused, 401, 'invalid_token');
  expect(refused.headers['www-authenticate']).toBe(
    'Bearer realm="tenantry", error="invalid_token"',
  );
  expectProblem(await deleteKey(service, globex.auth, made.id), 404, 'api_key_not_found');
  expect(expectStatus(await listKeys(service, globex.auth), 200).json().data).toEqual([]);
});

test('neither the key nor its secret is anywhere in the database', async () => {
  const idempotencyKey = 'an-attempt-at-a-key';
  const body = { name: 'Secret', permissions: ['org:read'] };
  const { key, prefix } = expectStatus(
    await postKey(service, acme.auth, body, idempotencyKey),
    201,
  ).json();
  expectStatus(await readOrganization(service, withKey({ key })), 200);
  const secret = key.slice(prefix.length + 1);
  // The search finds things: the prefix is there to be found.
  expect(await placesNaming(service.db, prefix)).not.toEqual([]);
  for (const needle of [key, secret, secret.slice(0, -6)])
    for (const form of [needle, ...encodings(needle)])
      expect(await placesNaming(service.db, form)).toEqual([]);
});

/** Binary data is base64 in what is searched. */
function encodings(text: string): string[] {
  return [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), Buffer.from(text)])
      .toString('base64')
      .slice(4, -4),
  );
}

describe('a list', () => {
  test('comes a page at a time, and of one organization only', async () => {
    const globex = await signUpAndIn(service);
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1)
      ids.push((await makeKey(service, globex.auth, ['org:read'], { name: `key ${n}` })).id);
    const seen: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const query: Record<string, string> = { limit: '2', ...(after !== '' && { after }) };
      const page = expectStatus(await listKeys(service, globex.auth, query), 200).json();
      seen.push(...page.data.map(({ id }: { id: string }) => id));
      after = page.next_cursor;
    }
    expect(seen).toEqual(ids);
    const problem = await listKeys(service, globex.auth, { after: 'x' });
    expectProblem(problem, 400, 'invalid_cursor');
  });

  test('says who made a key for as long as they are members, and that they were', async () => {
    const globex = await signUpAndIn(service);
    const person = await aMember(service, globex, 'admin');
    const made = await makeKey(service, person.auth, ['org:read', 'api_key:write']);
    const byKey = await makeKey(service, withKey(made), ['org:read']);
    expect(byKey.created_by).toEqual({ type: 'api_key', id: made.id, email: null });
    const makers = async () => {
      const { data } = expectStatus(await listKeys(service, globex.auth), 200).json();
      return data.map((one: { created_by: unknown }) => one.created_by);
    };
    const { id } = person;
    expect(await makers()).toEqual([{ type: 'admin', id, email: person.email }, byKey.created_by]);

    const url = `/org/members/${id}`;
    const removal = { method: 'DELETE' as const, url, headers: globex.auth };
    expectStatus(await service.app.inject(removal), 204);
    expect(await makers()).toEqual([{ type: 'admin', id, email: null }, byKey.created_by]);
    // The keys are the organization's, and stay.
    for (const key of [made, byKey])
      expectStatus(await readOrganization(service, withKey(key)), 200);
  });
});

describe('bad input', () => {
  const valid = { name: 'A key', permissions: ['org:read'] };

  test.each<[string, object]>([
    ['/name', { name: undefined }],
    ['/name', { name: null }],
    ['/name', { name: 1 }],
    ['/name', { name: ['a'] }],
    ['/name', { name: { $gt: '' } }],
    ['/name', { name: '' }],
    ['/name', { name: ' \u{3000}\n' }],
    ['/name', { name: 'x'.repeat(101) }],
    // Decomposed by NFC into twice as many.
    ['/name', { name: '\u{0958}'.repeat(100) }],
    ['/name', { name: 'a\0b' }],
    ['/name', { name: 'a\u0007b' }],
    ['/name', { name: 'a\u202eb' }],
    ['/name', { name: 'a\ud800' }],
    ['/permissions', { permissions: undefined }],
    ['/permissions', { permissions: null }],
    ['/permissions', { permissions: 'org:read' }],
    ['/permissions', { permissions: { $in: ['org:read'] } }],
    ['/permissions', { permissions: [] }],
    ['/permissions', { permissions: Array.from({ length: 50 }, () => 'org:read') }],
    ['/permissions/0', { permissions: ['org:everything'] }],
    ['/permissions/0', { permissions: ['self'] }],
    ['/permissions/0', { permissions: ['*'] }],
    ['/permissions/0', { permissions: ['ORG:READ'] }],
    ['/permissions/1', { permissions: ['org:read', 'org:transfer'] }],
    ['/permissions/0', { permissions: [null] }],
    ['/permissions/0', { permissions: [{ $ne: null }] }],
    ['/expires_at', { expires_at: 1_800_000_000 }],
    ['/expires_at', { expires_at: {} }],
    ['/expires_at', { expires_at: '' }],
    ['/expires_at', { expires_at: 'tomorrow' }],
    ['/expires_at', { expires_at: '2027-01-01' }],
    ['/expires_at', { expires_at: '2027-01-01T00:00:00' }],
    ['/expires_at', { expires_at: '2027-02-30T00:00:00Z' }],
    ['/expires_at', { expires_at: '2027-06-30T23:59:60Z' }],
    ['/expires_at', { expires_at: '2001-01-01T00:00:00Z' }],
    ['/expires_at', { expires_at: '9999-12-31T23:59:59Z' }],
    ['/expires_at', { expires_at: '9999-12-31T23:59:59-12:00' }],
    ['/expires_at', { expires_at: '0000-01-01T00:00:00Z' }],
    ['/expires_in', { expires_in: 60 }],
    ['/key', { key: 'tnt_mine' }],
    ['/organization_id', { organization_id: '66f1c0ffee0ddba11ca75a1e' }],
    ['/_id', { _id: '66f1c0ffee0ddba11ca75a1e' }],
  ])('%s of %j', async (path, change) => {
    await changingNothing(service.db, async () => {
      const response = await postKey(service, acme.auth, { ...valid, ...change });
      expect(pathsOf(expectProblem(response, 422, 'validation_failed'))).toEqual([path]);
    });
  });

  test('an end that is now is no end, and five years are the most', async () => {
    for (const [ms, status] of [
      [0, 422],
      [1, 201],
      [5 * 366 * DAY_MS, 201],
      [5 * 366 * DAY_MS + 1, 422],
    ] as const) {
      const body = { ...valid, expires_at: inMs(ms) };
      const response = expectStatus(await postKey(service, acme.auth, body), status);
      if (status === 201) expect(response.json().expires_at).toBe(inMs(ms));
    }
    const offset = { ...valid, expires_at: inMs(DAY_MS).replace('Z', '-01:00') };
    const { expires_at } = expectStatus(await postKey(service, acme.auth, offset), 201).json();
    expect(expires_at).toBe(inMs(DAY_MS + 3_600_000));
    const none = { ...valid, expires_at: null };
    const never = expectStatus(await postKey(service, acme.auth, none), 201).json();
    expect(never.expires_at).toBeNull();
  });

  test('ids that are none, and ids of another organization', async () => {
    const globex = await signUpAndIn(service);
    const { id } = await makeKey(service, globex.auth, ['org:read']);
    await changingNothing(service.db, async () => {
      const foreign = await deleteKey(service, acme.auth, id);
      const unknown = await deleteKey(service, acme.auth, new ObjectId().toHexString());
      const problems = [foreign, unknown].map((one) => {
        const { request_id: _, ...rest } = expectProblem(one, 404, 'api_key_not_found');
        return rest;
      });
      expect(problems[0]).toEqual(problems[1]);
      for (const bad of ['x', id.toUpperCase().replace(/^./, 'G'), `${id}0`, '%00', '{}'])
        expect((await deleteKey(service, acme.auth, bad)).statusCode).toBe(400);
    });
    expect((await listKeys(service, acme.auth)).body).not.toContain(id);
  });
});

describe('an organization has at most 100', () => {
  test('however many ask at the same time; one that is deleted makes room', async () => {
    const globex = await signUpAndIn(service);
    const body = { name: 'One of many', permissions: ['org:read'] };
    const ask = () => postKey(service, globex.auth, body);
    for (let n = 0; n < 9; n += 1)
      expect(tally(await Promise.all(Array.from({ length: 10 }, ask)))).toEqual({ 201: 10 });
    const counts = tally(await Promise.all(Array.from({ length: 20 }, ask)));
    expect(counts).toEqual({ 201: 10, '409 api_key_limit_reached': 10 });
    const keys = await keysOf(globex);
    expect(keys).toHaveLength(100);
    expect(new Set(keys.map(({ prefix }) => prefix)).size).toBe(100);

    expectStatus(await deleteKey(service, globex.auth, String(keys[41]?._id)), 204);
    const again = tally(await Promise.all(Array.from({ length: 5 }, ask)));
    expect(again).toEqual({ 201: 1, '409 api_key_limit_reached': 4 });
    expectStatus(await postKey(service, acme.auth, body), 201);
  });
});

test('every permission that can be given can be given to a key', async () => {
  const { permissions } = await makeKey(service, acme.auth, GRANTABLE_PERMISSIONS);
  expect(permissions).toEqual([...GRANTABLE_PERMISSIONS].sort());
});
