import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forgot, me, reset } from '../support/account-links.ts';
import { apiOf, bearer } from '../support/api.ts';
import { Authenticator } from '../support/authenticator.ts';
import { contradictions } from '../support/database-truth.ts';
import { holdBody } from '../support/held-request.ts';
import { aMember } from '../support/members.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

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

const signsIn = async ({ signUp: { email } }: SignedUp, password: string) =>
  (await apiOf(service).login({ email, password })).statusCode;

/** Somebody with the right to it asks for something, at once. */
const request = (method: 'PATCH' | 'DELETE' | 'POST', url: string, who: SignedUp, body?: object) =>
  service.app.inject({ method, url, headers: who.auth, ...(body && { payload: body }) });

describe('a session that is ended while a body is under way', () => {
  test('cannot be exchanged for another', async () => {
    const ada = await signUpAndIn(service);
    const payload = { organization_id: ada.organization.id };
    const held = { method: 'POST', url: '/admin/switch', headers: ada.auth, payload };
    const finish = await holdBody(service, held);
    await resetPassword(ada);
    expectStatus(await me(service, ada.auth), 401);
    expect(await finish()).toMatchObject({ status: 401 });
  });

  test('puts no second factor in force', async () => {
    const ada = await signUpAndIn(service);
    const { password: current_password } = ada.signUp;
    const options = bearer(ada.tokens);
    const begun = await apiOf(service).beginTotp({ current_password }, options);
    const { otpauth_uri } = expectStatus(begun, 200).json();
    const payload = { code: new Authenticator(otpauth_uri, service.clock).code() };
    const held = { method: 'POST', url: '/admin/mfa/totp/confirm', headers: ada.auth, payload };
    const finish = await holdBody(service, held);
    await resetPassword(ada);
    expect(await finish()).toMatchObject({ status: 401 });
    expect(await signsIn(ada, NEXT)).toBe(200);
  });

  test('sets no password over the one of a reset', async () => {
    const ada = await signUpAndIn(service);
    const payload = { password: 'of the thief, not of ada' };
    const held = { method: 'PUT', url: '/org/update', headers: ada.auth, payload };
    const finish = await holdBody(service, held);
    await resetPassword(ada);
    expect(await finish()).toMatchObject({ status: 401 });
    expect(await signsIn(ada, NEXT)).toBe(200);
  });
});

describe('somebody who loses their rights while a body is under way', () => {
  test('makes no API key, if they were removed', async () => {
    const acme = await signUpAndIn(service);
    const { auth: headers, id } = await aMember(service, acme, 'admin');
    const payload = { name: 'back door', permissions: ['member:write', 'api_key:write'] };
    const held = { method: 'POST', url: '/org/api-keys', headers, payload };
    const finish = await holdBody(service, held);
    expectStatus(await request('DELETE', `/org/members/${id}`, acme), 204);
    expect(await finish()).toMatchObject({ status: 401 });
    expect(await service.db.collection('api_keys').countDocuments({ name: 'back door' })).toBe(0);
  });

  test('gives nobody a role, if their own was taken', async () => {
    const acme = await signUpAndIn(service);
    const { auth: headers, id } = await aMember(service, acme, 'admin');
    const url = `/org/members/${id}`;
    const held = { method: 'PATCH', url, headers, payload: { role: 'admin' } };
    const finish = await holdBody(service, held);
    expectStatus(await request('PATCH', url, acme, { role: 'viewer' }), 200);
    expect(await finish()).toMatchObject({ status: 403 });
    const listed = await service.app.inject({ url: '/org/members', headers: acme.auth });
    const { data } = expectStatus(listed, 200).json<{ data: { role: string }[] }>();
    expect(data.map(({ role }) => role)).toEqual(['owner', 'viewer']);
  });

  test('deletes no organization, if they were an owner', async () => {
    const acme = await signUpAndIn(service);
    const { auth: headers, id } = await aMember(service, acme, 'owner');
    const { organization_name } = acme.organization;
    const held = { method: 'DELETE', url: '/org/delete', headers, payload: { organization_name } };
    const finish = await holdBody(service, held);
    expectStatus(await request('DELETE', `/org/members/${id}`, acme), 204);
    expect(await finish()).toMatchObject({ status: 401 });
    expectStatus(await apiOf(service).get(organization_name), 200);
  });

  test('makes nothing in an organization that is deleted', async () => {
    const acme = await signUpAndIn(service);
    const payload = { name: 'late', permissions: [] };
    const held = { method: 'POST', url: '/org/roles', headers: acme.auth, payload };
    const finish = await holdBody(service, held);
    expectStatus(await request('DELETE', '/org/delete', acme), 200);
    expect(await finish()).toMatchObject({ status: 401 });
    expect(await service.db.collection('roles').countDocuments({ name: 'late' })).toBe(0);
  });
});

test('an API key that is deleted while a body is under way makes no other', async () => {
  const acme = await signUpAndIn(service);
  const first = { name: 'first', permissions: ['api_key:write', 'record:read'] };
  const made = expectStatus(await request('POST', '/org/api-keys', acme, first), 201);
  const key = /tnt_\w{51}/.exec(made.body)?.[0];
  const headers = { authorization: `Bearer ${key}` };
  const payload = { name: 'second', permissions: ['api_key:write'] };
  const finish = await holdBody(service, {
    method: 'POST',
    url: '/org/api-keys',
    headers,
    payload,
  });
  expectStatus(await request('DELETE', `/org/api-keys/${made.json().id}`, acme), 204);
  expect(await finish()).toMatchObject({ status: 401 });
});
