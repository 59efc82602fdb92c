import { ObjectId } from 'mongodb';
import type { Permission } from '../../src/roles/permissions.ts';
import { expectStatus, type SignedUp, signUpAndIn, type TestService } from './test-service.ts';

type By = Pick<TestService, 'app'>;
export type Auth = { authorization: string };

/** What `POST /org/api-keys` answers. */
export interface Made {
  id: string;
  name: string;
  prefix: string;
  permissions: Permission[];
  created_at: string;
  created_by: { type: string; id: string; email: string | null } | null;
  expires_at: string | null;
  last_used_at: string | null;
  key: string;
}

/** Asks for a key. Bodies are sent as they are given, right or wrong. */
export function postKey({ app }: By, auth: Auth, body: object, idempotencyKey?: string) {
  const headers = { ...auth, ...(idempotencyKey && { 'idempotency-key': idempotencyKey }) };
  return app.inject({ method: 'POST', url: '/org/api-keys', headers, payload: body });
}

/** Makes a key that may do some things. */
export async function makeKey(
  by: By,
  auth: Auth,
  permissions: readonly Permission[],
  more: object = {},
): Promise<Made> {
  const body = { name: 'A test', permissions, ...more };
  return expectStatus(await postKey(by, auth, body), 201).json();
}

export function withKey({ key }: { key: string }): Auth {
  return { authorization: `Bearer ${key}` };
}

export function deleteKey({ app }: By, headers: Auth, id: string) {
  return app.inject({ method: 'DELETE', url: `/org/api-keys/${id}`, headers });
}

export function listKeys({ app }: By, headers: Auth, query: Record<string, string> = {}) {
  return app.inject({ method: 'GET', url: '/org/api-keys', headers, query });
}

/** Its own organization, which is what a read with a key asks for. */
export function readOrganization({ app }: By, headers: Auth) {
  return app.inject({ method: 'GET', url: '/org/get', headers });
}

export interface Joined {
  auth: Auth;
  adminId: ObjectId;
  membershipId: ObjectId;
  email: string;
}

/** Somebody with an organization of their own joins another, and is signed in to it. */
export async function joinAs(
  service: TestService,
  { organization }: SignedUp,
  role: string,
): Promise<Joined> {
  const person = await signUpAndIn(service);
  const { email, password } = person.signUp;
  const admin = await service.db.collection('admins').findOne({ email });
  if (admin === null) throw new Error('the account does not exist');
  const membershipId = new ObjectId();
  await service.db.collection('memberships').insertOne({
    ...{ _id: membershipId, organization_id: new ObjectId(organization.id), admin_id: admin._id },
    ...{ role, version: 0, created_at: new Date() },
  });
  await service.db
    .collection('admins')
    .updateOne({ _id: admin._id }, { $inc: { membership_version: 1 } });
  const { organization_name } = organization;
  const payload = { email, password, organization_name };
  const login = await service.app.inject({ method: 'POST', url: '/admin/login', payload });
  const { access_token } = expectStatus(login, 200).json();
  return {
    auth: { authorization: `Bearer ${access_token}` },
    ...{ adminId: admin._id, membershipId, email },
  };
}
