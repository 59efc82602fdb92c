import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ObjectId } from 'mongodb';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLibrary } from '../../src/composition/library.ts';
import type { Tenantry } from '../../src/library/tenantry.ts';
import { deleteKey, makeKey as makeApiKey } from '../support/api-keys.ts';
import { libraryOf } from '../support/library.ts';
import { aMember } from '../support/members.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';
import { forge, hmac, keySet, makeKey } from '../support/tokens.ts';

/** Longer than anything is remembered of who may do what. */
const STALE_MS = 1_000;

let service: TestService;
let tenantry: Tenantry;
let signedUp: SignedUp;

beforeAll(async () => {
  service = await startTestService();
  return () => service[Symbol.asyncDispose]();
});

beforeEach(async () => {
  // Of its own each time, with nothing remembered.
  tenantry = libraryOf(service);
  signedUp = await signUpAndIn(service);
});

const tokenOf = ({ tokens }: Pick<SignedUp, 'tokens'>) => tokens.access_token;

async function expectRefused(token: string, code: string, options = {}): Promise<void> {
  await expect(tenantry.verifyToken(token, options)).rejects.toMatchObject({ code });
}

describe('an access token', () => {
  test('tells who its bearer is and what they may do', async () => {
    const { signUp, organization } = signedUp;
    const principal = await tenantry.verifyToken(tokenOf(signedUp));
    expect(principal).toEqual({
      ...{ kind: 'member', role: 'owner', email: signUp.email },
      ...{ organizationId: new ObjectId(organization.id), permissions: expect.any(Set) },
      ...{ organizationName: signUp.organization_name, expiresAt: expect.any(Date) },
      ...{ adminId: expect.any(ObjectId), sessionId: expect.any(ObjectId) },
    });
    expect(principal.permissions.has('org:delete')).toBe(true);
    const { records } = await tenantry.organizationById(principal.organizationId);
    expect(records.collectionName).toBe(organization.collection_name);
  });

  test('has to be for the organization and the permission that are asked for', async () => {
    const other = await signUpAndIn(service);
    const viewer = await aMember(service, signedUp, 'viewer');
    const organizationId = signedUp.organization.id;
    const token = viewer.tokens.access_token;
    await tenantry.verifyToken(token, { organizationId, permission: 'record:read' });
    await tenantry.verifyToken(token, { organizationId: new ObjectId(organizationId) });
    await expectRefused(token, 'permission_denied', { permission: 'record:write' });
    await expectRefused(tokenOf(other), 'not_your_organization', { organizationId });
  });

  test('is worth nothing within a second after its session was ended elsewhere', async () => {
    await tenantry.verifyToken(tokenOf(signedUp));
    const { auth: headers } = signedUp;
    expectStatus(await service.app.inject({ method: 'POST', url: '/admin/logout', headers }), 204);
    service.clock.advance(STALE_MS);
    await expectRefused(tokenOf(signedUp), 'invalid_token');
    expect(await tenantry.verifyToken(tokenOf(signedUp), { offline: true })).toMatchObject({
      email: signedUp.signUp.email,
    });
  });

  test('has the new role within a second after a change, and none after removal', async () => {
    const member = await aMember(service, signedUp, 'editor');
    const token = member.tokens.access_token;
    await tenantry.verifyToken(token, { permission: 'record:write' });
    const url = `/org/members/${member.id}`;
    const { auth: headers } = signedUp;
    const payload = { role: 'viewer' };
    expectStatus(await service.app.inject({ method: 'PATCH', url, headers, payload }), 200);
    service.clock.advance(STALE_MS);
    expect(await tenantry.verifyToken(token)).toMatchObject({ role: 'viewer' });
    await expectRefused(token, 'permission_denied', { permission: 'record:write' });
    expectStatus(await service.app.inject({ method: 'DELETE', url, headers }), 204);
    service.clock.advance(STALE_MS);
    await expectRefused(token, 'invalid_token');
  });

  test('is worth nothing once the organization is deleted, nor while it is suspended', async () => {
    await tenantry.verifyToken(tokenOf(signedUp));
    const _id = new ObjectId(signedUp.organization.id);
    const organizations = service.db.collection('organizations');
    await organizations.updateOne({ _id }, { $set: { state: 'suspended' } });
    service.clock.advance(STALE_MS);
    await expectRefused(tokenOf(signedUp), 'organization_suspended');
    await expect(tenantry.organizationById(_id)).rejects.toMatchObject({
      code: 'organization_suspended',
    });
    await organizations.updateOne({ _id }, { $set: { state: 'active' } });
    const { auth: headers } = signedUp;
    expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    service.clock.advance(STALE_MS);
    await expectRefused(tokenOf(signedUp), 'invalid_token');
  });

  test('that was made by somebody else is refused, offline too', async () => {
    const [header = '', claims = '', signature = ''] = tokenOf(signedUp).split('.');
    const said = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const hs256 = { alg: 'HS256', typ: 'JWT' };
    const { jwtSecret } = service.settings;
    const signed = hmac(jwtSecret);
    await tenantry.verifyToken(forge(hs256, said, signed));
    for (const options of [{}, { offline: true }])
      for (const token of [
        ...['', 'abc', `${header}.${claims}.`, `${header}.${claims}.${signature}A`],
        forge(hs256, said, hmac('another secret, long enough to sign with')),
        forge({ ...hs256, alg: 'none' }, said, () => Buffer.alloc(0)),
        forge({ ...hs256, alg: 'HS512' }, said, hmac(jwtSecret, 'sha512')),
        forge(hs256, { ...said, aud: 'else' }, signed),
        forge(hs256, { ...said, iss: 'else' }, signed),
        undefined as unknown as string,
        { $ne: 1 } as unknown as string,
      ])
        await expectRefused(token, 'invalid_token', options);
  });

  test('is not taken for good where an option is misspelt', async () => {
    const token = tokenOf(signedUp);
    const misspelt = { permissions: ['record:write'] } as object;
    await expect(tenantry.verifyToken(token, misspelt)).rejects.toThrow('no option permissions');
    const text = 'record:write' as unknown as object;
    await expect(tenantry.verifyToken(token, text)).rejects.toThrow('takes an object');
  });

  test('that has expired is refused', async () => {
    service.clock.advance(3_600_000);
    for (const options of [{}, { offline: true }])
      await expectRefused(tokenOf(signedUp), 'token_expired', options);
  });

  test('counts as a use of its session, written down once a minute and at the end', async () => {
    const { sessionId } = (await tenantry.verifyToken(tokenOf(signedUp))) as {
      sessionId: ObjectId;
    };
    service.clock.advance(5_000);
    await tenantry.verifyToken(tokenOf(signedUp));
    const at = service.clock.now();
    await tenantry.close();
    const session = await service.db.collection('sessions').findOne({ _id: sessionId });
    expect(session?.last_used_at).toEqual(at);
    await expectRefused(tokenOf(signedUp), 'closed');
  });
});

test('an API key is accepted until it is deleted, but not offline', async () => {
  const made = await makeApiKey(service, signedUp.auth, ['record:read']);
  const principal = await tenantry.verifyToken(made.key, { permission: 'record:read' });
  expect(principal).toMatchObject({
    ...{ kind: 'api_key', organizationId: new ObjectId(signedUp.organization.id) },
    ...{ apiKeyId: new ObjectId(made.id), expiresAt: null },
  });
  await expectRefused(made.key, 'permission_denied', { permission: 'record:write' });
  await expectRefused(made.key, 'invalid_token', { offline: true });
  await deleteKey(service, signedUp.auth, made.id);
  service.clock.advance(STALE_MS);
  await expectRefused(made.key, 'invalid_token');
});

test('tokens of a key set are verified with what the service publishes', async () => {
  const key = makeKey('EdDSA');
  const signingKeys = keySet(key.privatePem);
  const { db } = service;
  await using signing = await startTestService({
    database: db.databaseName,
    settings: { signingKeys },
    clock: service.clock,
  });
  const published = await signing.app.inject({ url: '/.well-known/jwks.json' });
  const server = createServer((_, response) => response.end(published.body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const person = await signUpAndIn(signing);
    const { port } = server.address() as AddressInfo;
    for (const keys of [new URL(`http://127.0.0.1:${port}/jwks.json`), published.json()]) {
      const tokens = { issuer: 'tenantry', audience: 'tenantry', keySet: keys };
      const settings = { masterDatabase: db.databaseName, tokens };
      const { client, clock } = service;
      tenantry = createLibrary(client, settings, async () => {}, { clock });
      const principal = await tenantry.verifyToken(tokenOf(person));
      expect(principal).toMatchObject({ email: person.signUp.email });
      await expectRefused(tokenOf(signedUp), 'invalid_token');
    }
  } finally {
    server.close();
  }
});
