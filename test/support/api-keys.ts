import type { Permission } from '../../src/roles/permissions.ts';
import { expectStatus, type TestService } from './test-service.ts';

type By = Pick<TestService, 'app'>;
export type Auth = { authorization: string };

/** What `POST /org/api-keys` answers. */
export interface Made {
  id: string;
  name: string;
  prefix: string;
  permissions: Permission[];
  created_at: string;
  created_by: { type: string; id: string; email: string | null };
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
