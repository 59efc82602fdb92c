import { afterAll, beforeAll, expect, test } from 'vitest';
import { forgot, me, reset } from '../support/account-links.ts';
import { apiOf, bearer } from '../support/api.ts';
import { deleteKey, makeKey, withKey } from '../support/api-keys.ts';
import { Authenticator } from '../support/authenticator.ts';
import { contradictions } from '../support/database-truth.ts';
import { hold } from '../support/held-request.ts';
import { adminIdOf, aMember } from '../support/members.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

/**
 * A client sends the headers of a request while it may do what it asks for, and the end of the body when it may not any
 * more. What counts is what it may do then.
 */

const NEXT = 'quite another passphrase';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  await service.app.listen({ port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await service[Symbol.asyncDispose]();
});

async function resetPassword({ signUp: { email } }: SignedUp): Promise<void> {
  expectStatus(await forgot(service, { email }), 202);
  await service.services.mailTasks.idle();
  const token = tokenIn(service.mails.to(email));
  expectStatus(await reset(service, { token, password: NEXT }), 204);
}

const request = (
  method: 'PATCH' | 'DELETE',
  { auth: headers }: SignedUp,
  url: string,
  payload?: object,
) => service.app.inject({ method, url, headers, ...(payload && { payload }) });

test('a session that a reset has ended is exchanged for no other', async () => {
  const ada = await signUpAndIn(service);
  const wanted = { organization_id: ada.organization.id };
  const finish = await hold(service, 'POST', '/admin/switch', ada.auth, wanted);
  await resetPassword(ada);
  expectStatus(await me(service, ada.auth), 401);
  expect((await finish()).status).toBe(401);
});

test('a session that a reset has ended does not change the password back', async () => {
  const ada = await signUpAndIn(service);
  const change = { password: 'a third passphrase 4711' };
  const finish = await hold(service, 'PUT', '/org/update', ada.auth, change);
  await resetPassword(ada);
  expect((await finish()).status).toBe(401);
  const { email } = ada.signUp;
  expectStatus(await apiOf(service).login({ email, password: NEXT }), 200);
});

test('a session that a reset has ended puts no second factor in force', async () => {
  const ada = await signUpAndIn(service);
  const { email, password: current_password } = ada.signUp;
  const begun = await apiOf(service).beginTotp({ current_password }, bearer(ada.tokens));
  const app = new Authenticator(expectStatus(begun, 200).json().otpauth_uri, service.clock);
  const body = { code: app.code() };
  const finish = await hold(service, 'POST', '/admin/mfa/totp/confirm', ada.auth, body);
  await resetPassword(ada);
  expect((await finish()).status).toBe(401);
  expectStatus(await apiOf(service).login({ email, password: NEXT }), 200);
});

test('a removed member makes no API key', async () => {
  const acme = await signUpAndIn(service);
  const eve = await aMember(service, acme, 'admin');
  const key = { name: 'back door', permissions: ['api_key:write'] };
  const finish = await hold(service, 'POST', '/org/api-keys', eve.auth, key);
  expectStatus(await request('DELETE', acme, `/org/members/${eve.id}`), 204);
  const answer = await finish();
  expect(answer.status).toBe(401);
  expect(answer.body).not.toContain('tnt_');
});

test('a removed owner deletes no organization', async () => {
  const acme = await signUpAndIn(service);
  const eve = await aMember(service, acme, 'owner');
  const finish = await hold(service, 'DELETE', '/org/delete', eve.auth, {});
  expectStatus(await request('DELETE', acme, `/org/members/${eve.id}`), 204);
  expect((await finish()).status).toBe(401);
  expectStatus(await apiOf(service).get(acme.organization.organization_name), 200);
});

test('a demoted admin gives nobody a role', async () => {
  const acme = await signUpAndIn(service);
  const eve = await aMember(service, acme, 'admin');
  const url = `/org/members/${eve.id}`;
  const finish = await hold(service, 'PATCH', url, eve.auth, { role: 'admin' });
  expectStatus(await request('PATCH', acme, url, { role: 'viewer' }), 200);
  expect((await finish()).status).toBe(403);
  const { data } = (await service.app.inject({ url: '/org/members', headers: acme.auth })).json();
  expect(data).toMatchObject([{ id: await adminIdOf(service, acme) }, { role: 'viewer' }]);
});

test('a deleted API key makes no other', async () => {
  const acme = await signUpAndIn(service);
  const key = await makeKey(service, acme.auth, ['api_key:write', 'record:read']);
  const other = { name: 'another', permissions: ['record:read'] };
  const finish = await hold(service, 'POST', '/org/api-keys', withKey(key), other);
  expectStatus(await deleteKey(service, acme.auth, key.id), 204);
  expect((await finish()).status).toBe(401);
});

test('nothing is written for a deleted organization', async () => {
  const acme = await signUpAndIn(service);
  const role = { name: 'late', permissions: [] };
  const finish = await hold(service, 'POST', '/org/roles', acme.auth, role);
  expectStatus(await request('DELETE', acme, '/org/delete'), 200);
  expect((await finish()).status).toBe(401);
  expect(await service.db.collection('roles').countDocuments({ name: 'late' })).toBe(0);
});

test('who still may when the body ends does what was asked for', async () => {
  const acme = await signUpAndIn(service);
  const role = { name: 'reader', permissions: ['org:read'] };
  const finish = await hold(service, 'POST', '/org/roles', acme.auth, role);
  expect((await finish()).status).toBe(201);
});
