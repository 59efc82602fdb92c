import type { LightMyRequestResponse } from 'fastify';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GRANTABLE_PERMISSIONS, type Permission } from '../../src/roles/permissions.ts';
import { apiOf, bearer, expectProblem } from '../support/api.ts';
import { deleteKey, makeKey, withKey } from '../support/api-keys.ts';
import { placesNaming } from '../support/database-truth.ts';
import { anInvitation } from '../support/invitations.ts';
import { aMember } from '../support/members.ts';
import { anOperator, ask, enrolOperator, signInOperator } from '../support/operators.ts';
import { recordsOf } from '../support/records.ts';
import { postIndex } from '../support/structure.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

/**
 * Every route of the service with every kind of caller, made from the service's own document: a new route is in it by
 * itself, and fails here until it refuses whom it has to refuse.
 */

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

interface Route {
  method: Method;
  path: string;
  /** Undefined: everybody may. */
  permission: Permission | 'self' | 'operator' | undefined;
}

/** The routes that are open to everybody. A new one has to be written down here. */
const PUBLIC_ROUTES = [
  'GET /.well-known/jwks.json',
  'GET /health/live',
  'GET /health/ready',
  'GET /org/get',
  'POST /admin/email/confirm',
  'POST /admin/login',
  'POST /admin/password/forgot',
  'POST /admin/password/reset',
  'POST /admin/refresh',
  'POST /invitations/accept',
  'POST /invitations/lookup',
  'POST /operator/login',
  'POST /operator/refresh',
  'POST /org/create',
];

const service: TestService = await startTestService();
const routes = await routesOf(service);
const guarded = routes.filter(({ permission }) => permission !== undefined);
const ofMembers = guarded.filter(({ permission }) => permission !== 'operator');
const ofOperators = guarded.filter(({ permission }) => permission === 'operator');
afterAll(() => service[Symbol.asyncDispose]());

async function routesOf({ app }: TestService): Promise<Route[]> {
  const { paths } = expectStatus(await app.inject({ url: '/openapi.json' }), 200).json();
  return Object.entries<
    Record<string, { 'x-permission'?: Exclude<Route['permission'], undefined> }>
  >(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase() as Method,
      path,
      permission: operation['x-permission'] as Route['permission'],
    })),
  );
}

const nameOf = ({ method, path }: Route) => `${method} ${path}`;

/** An organization that is not the caller's, with one of everything that has an id. */
interface Stranger {
  signedUp: SignedUp;
  /** What to put where a path has a parameter, by the path up to it. */
  ids: Record<string, string>;
}

async function aStranger(): Promise<Stranger> {
  const signedUp = await signUpAndIn(service);
  const { auth: headers } = signedUp;
  const member = await aMember(service, signedUp, 'viewer');
  const role = { name: 'theirs', permissions: ['org:read'] };
  const payload = role;
  expectStatus(
    await service.app.inject({ method: 'POST', url: '/org/roles', headers, payload }),
    201,
  );
  const apiKey = await makeKey(service, headers, ['org:read']);
  const indexBody = { fields: [{ field: 'theirs' }] };
  const index = expectStatus(await postIndex(service, signedUp, indexBody), 201).json();
  const sessions = await service.app.inject({ url: '/admin/sessions', headers });
  const invitation = await anInvitation(service, signedUp);
  const record = expectStatus(await recordsOf(service, headers).create({ of: 'theirs' }), 201);
  return {
    signedUp,
    ids: {
      '/org/members/': member.id,
      '/org/invitations/': invitation.id,
      '/org/roles/': role.name,
      '/org/records/': record.json()._id.$oid,
      '/org/indexes/': index.name,
      '/org/api-keys/': apiKey.id,
      '/admin/sessions/': sessions.json().data[0].id,
    },
  };
}

/** Fills the parameters of a path. Fails for a parameter nobody said how to fill. */
function urlOf({ path }: Route, ids: Record<string, string>): string {
  return path.replace(/\{\w+\}/, (parameter, at: number) => {
    const id = ids[path.slice(0, at)];
    if (id === undefined) throw new Error(`say what ${parameter} of ${path} is in aStranger()`);
    return id;
  });
}

const SOME_IDS: Record<string, string> = new Proxy(
  {},
  { get: (_, path) => (String(path).includes('roles') ? 'none' : new ObjectId().toHexString()) },
);

/** A body that is right, for routes with a parameter: what is wrong with the body would be found before the parameter. */
const BODIES: Record<string, object> = {
  'PATCH /org/members/{admin_id}': { role: 'viewer' },
  'PUT /org/roles/{name}': { permissions: [] },
};

function call(
  route: Route,
  auth: { authorization: string } | undefined,
  ids = SOME_IDS,
): Promise<LightMyRequestResponse> {
  const { method } = route;
  const withBody = method !== 'GET' && method !== 'DELETE';
  return service.app.inject({
    ...{ method, url: urlOf(route, ids) },
    ...(auth && { headers: auth }),
    ...(withBody && { payload: BODIES[nameOf(route)] ?? {} }),
  });
}

/** Somebody with a role of the organization's own that holds these permissions, and no others. */
async function somebodyWith(acme: SignedUp, permissions: readonly Permission[]) {
  const name = `role-${new ObjectId().toHexString()}`;
  // Past the service, which lets nobody put every permission into a role.
  await service.db.collection('roles').insertOne({
    ...{ organization_id: new ObjectId(acme.organization.id), name, description: null },
    ...{ permissions, created_at: service.clock.now(), updated_at: service.clock.now() },
  });
  return aMember(service, acme, name);
}

test('the routes open to everybody are known', () => {
  const open = routes.filter(({ permission }) => permission === undefined);
  expect(open.map(nameOf).sort()).toEqual(PUBLIC_ROUTES);
  expect(guarded.length).toBeGreaterThan(10);
});

describe('refuses every route to', () => {
  async function refusesAll(
    auth: { authorization: string } | undefined,
    status: number,
    code: string,
  ): Promise<void> {
    for (const route of guarded) {
      const answer = await call(route, auth);
      expect
        .soft(`${nameOf(route)} ${answer.statusCode} ${answer.json().code}`)
        .toBe(`${nameOf(route)} ${status} ${code}`);
    }
  }

  test('nobody', () => refusesAll(undefined, 401, 'authentication_required'));

  test('a token that is none', () =>
    refusesAll({ authorization: 'Bearer x.y.z' }, 401, 'invalid_token'));

  test('a refresh token', async () => {
    const { tokens } = await signUpAndIn(service);
    await refusesAll(bearer({ access_token: tokens.refresh_token }).headers, 401, 'invalid_token');
  });

  test('a token that has expired', async () => {
    const acme = await signUpAndIn(service);
    service.clock.advance(3_600_000);
    await refusesAll(acme.auth, 401, 'token_expired');
  });

  test('an ended session', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await apiOf(service).logout({ headers: acme.auth }), 204);
    await refusesAll(acme.auth, 401, 'invalid_token');
  });

  test('an API key that was deleted', async () => {
    const acme = await signUpAndIn(service);
    const key = await makeKey(service, acme.auth, ['api_key:write']);
    expectStatus(await deleteKey(service, acme.auth, key.id), 204);
    await refusesAll(withKey(key), 401, 'invalid_token');
  });

  test('an API key that has expired', async () => {
    const acme = await signUpAndIn(service);
    const expires_at = new Date(service.clock.now().getTime() + 1).toISOString();
    const key = await makeKey(service, acme.auth, ['api_key:write'], { expires_at });
    service.clock.advance(1);
    await refusesAll(withKey(key), 401, 'invalid_token');
  });

  test('an API key of a deleted organization', async () => {
    const acme = await signUpAndIn(service);
    const key = await makeKey(service, acme.auth, ['api_key:write']);
    expectStatus(await apiOf(service).remove({ headers: acme.auth }), 200);
    await refusesAll(withKey(key), 401, 'invalid_token');
  });

  test('a deleted organization', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await apiOf(service).remove({ headers: acme.auth }), 200);
    await refusesAll(acme.auth, 401, 'invalid_token');
  });

  test('a deleted organization, although another one has its name', async () => {
    const acme = await signUpAndIn(service);
    expectStatus(await apiOf(service).remove({ headers: acme.auth }), 200);
    const { organization_name } = acme.signUp;
    await signUpAndIn(service, { organization_name });
    await refusesAll(acme.auth, 401, 'invalid_token');
  });

  test('a suspended organization', async () => {
    const acme = await signUpAndIn(service);
    const filter = { _id: new ObjectId(acme.organization.id) };
    const suspended = { $set: { state: 'suspended' } };
    await service.db.collection('organizations').updateOne(filter, suspended);
    await refusesAll(acme.auth, 403, 'organization_suspended');
    await service.db.collection('organizations').updateOne(filter, { $set: { state: 'active' } });
  });

  test('an operator whose session has ended', async () => {
    const { auth } = await anOperator(service);
    expectStatus(await ask(service, 'POST', '/operator/logout', auth), 204);
    await refusesAll(auth, 401, 'invalid_token');
  });

  test('an operator whose token has expired', async () => {
    const { auth } = await anOperator(service);
    service.clock.advance(3_600_000);
    await refusesAll(auth, 401, 'token_expired');
  });

  test('an operator who has since got a second factor, in a session from before', async () => {
    const grace = await anOperator(service);
    const { auth } = await signInOperator(service, {
      email: grace.email,
      password: grace.password,
    });
    await enrolOperator(service, grace);
    await refusesAll(auth, 401, 'invalid_token');
  });

  test('somebody who has been removed', async () => {
    const acme = await signUpAndIn(service);
    const member = await aMember(service, acme, 'owner');
    const url = `/org/members/${member.id}`;
    const { auth: headers } = acme;
    expectStatus(await service.app.inject({ method: 'DELETE', url, headers }), 204);
    await refusesAll(member.auth, 401, 'invalid_token');
  });
});

describe.each(ofMembers.map((route) => [nameOf(route), route] as const))('%s', (_name, route) => {
  test('is refused to operators, and tells and changes nothing', async () => {
    const stranger = await aStranger();
    const id = stranger.signedUp.organization.id;
    const before = await placesNaming(service.db, id);
    const { auth } = await anOperator(service);
    expectProblem(await call(route, auth, stranger.ids), 403, 'organization_required');
    expect(await placesNaming(service.db, id)).toEqual(before);
  });
});

describe.each(ofOperators.map((route) => [nameOf(route), route] as const))('%s', (_name, route) => {
  test('is for operators', async () => {
    const { auth } = await anOperator(service);
    const answer = await call(route, auth);
    expect([401, 403], answer.body).not.toContain(answer.statusCode);
    expect(answer.statusCode, answer.body).toBeLessThan(500);
  });

  test('is refused to members with every permission, and to API keys with all there are', async () => {
    const acme = await signUpAndIn(service);
    expectProblem(await call(route, acme.auth), 403, 'operator_required');
    const key = await makeKey(service, acme.auth, GRANTABLE_PERMISSIONS);
    expectProblem(await call(route, withKey(key)), 403, 'operator_required');
  });
});

describe.each(ofMembers.map((route) => [nameOf(route), route] as const))('%s', (_name, route) => {
  const { permission } = route;
  let acme: SignedUp;
  beforeAll(async () => {
    acme = await signUpAndIn(service);
  });

  if (permission !== 'self')
    test('is refused to a role that allows all but this', async () => {
      const others = GRANTABLE_PERMISSIONS.filter((one) => one !== permission);
      const { auth } = await somebodyWith(acme, others);
      expectProblem(await call(route, auth), 403, 'permission_denied');
    });

  test('is let through for a role that allows this alone', async () => {
    const { auth } = await somebodyWith(
      acme,
      permission === 'self' ? [] : [permission as Permission],
    );
    const answer = await call(route, auth);
    expect(answer.statusCode, answer.body).not.toBe(401);
    expect(answer.statusCode, answer.body).toBeLessThan(500);
    if (answer.statusCode === 403) expect(answer.json().code).not.toBe('permission_denied');
  });

  const grantable = GRANTABLE_PERMISSIONS.filter((one) => one === permission);
  if (grantable.length === 0)
    test('is refused to every API key', async () => {
      const { auth } = await signUpAndIn(service);
      const key = await makeKey(service, auth, GRANTABLE_PERMISSIONS);
      const code = permission === 'self' ? 'person_required' : 'permission_denied';
      expectProblem(await call(route, withKey(key)), 403, code);
    });
  else
    test('is for an API key that allows this alone, and for none that allows all but this', async () => {
      const others = GRANTABLE_PERMISSIONS.filter((one) => one !== permission);
      const { auth } = await signUpAndIn(service);
      const lacking = await makeKey(service, auth, others);
      expectProblem(await call(route, withKey(lacking)), 403, 'permission_denied');
      const key = await makeKey(service, auth, grantable);
      const answer = await call(route, withKey(key));
      expect([401, 403], answer.body).not.toContain(answer.statusCode);
      expect(answer.statusCode, answer.body).toBeLessThan(500);
    });

  if (route.path.includes('{'))
    test('does not reach into another organization', async () => {
      const stranger = await aStranger();
      const id = stranger.signedUp.organization.id;
      const before = await placesNaming(service.db, id);
      const { auth } = await signUpAndIn(service);
      const answer = await call(route, auth, stranger.ids);
      // 422: say in BODIES what body it takes.
      expect(answer.statusCode, answer.body).toBe(404);
      expect(await placesNaming(service.db, id)).toEqual(before);
    });
});
