import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let acme: SignedUp;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
});
afterAll(() => service[Symbol.asyncDispose]());

const VALUES: unknown[] = [
  ...[{ $gt: '' }, { $ne: null }, ['a'], 1, true, null, '\0', '__proto__', 'constructor'],
  ...['owner ', 'ｏwner', 'ow\u200bner', '\ud800', 'a'.repeat(900_000)],
  JSON.parse('['.repeat(3_000) + ']'.repeat(3_000)),
  ...[1e308, -1, 2 ** 53, '2026-12-31T23:59:60Z', '../../x', '0123456789abcdef01234567'],
];

/** What each field may hold. */
const GOOD: Record<string, unknown> = {
  ...{ email: 'somebody@new.example', password: 'correct horse battery', name: 'thing' },
  ...{ current_password: 'correct horse battery staple', code: '123456', token: 'a' },
  ...{ permissions: ['record:read'], role: 'viewer', description: 'x', expires_at: null },
  ...{ organization_name: 'Beta', refresh_token: 'x', admin_id: '0123456789abcdef01234567' },
};

type Route = [method: 'DELETE' | 'PATCH' | 'POST' | 'PUT', url: string, ...fields: string[]];

const ROUTES: Route[] = [
  ['POST', '/org/create', 'organization_name', 'email', 'password', 'code'],
  ['POST', '/admin/login', 'email', 'password', 'organization_name', 'code'],
  ['POST', '/admin/refresh', 'refresh_token'],
  ['PATCH', '/admin/me', 'name', 'email', 'password', 'current_password', 'code'],
  ['POST', '/admin/switch', 'organization_id', 'organization_name'],
  ['POST', '/org/roles', 'name', 'permissions', 'description'],
  ['PUT', '/org/roles/x', 'permissions', 'description'],
  ['POST', '/org/api-keys', 'name', 'permissions', 'expires_at'],
  ['POST', '/org/invitations', 'email', 'role'],
  ['POST', '/invitations/accept', 'token', 'password', 'name', 'code'],
  ['POST', '/invitations/lookup', 'token'],
  ['POST', '/admin/password/forgot', 'email'],
  ['POST', '/admin/password/reset', 'token', 'password'],
  ['POST', '/admin/email/confirm', 'token'],
  ['POST', '/org/transfer', 'admin_id'],
  ['PATCH', '/org/members/0123456789abcdef01234567', 'role'],
  ['POST', '/admin/mfa/totp', 'current_password'],
  ['POST', '/admin/mfa/totp/confirm', 'code', 'end_other_sessions'],
  ['DELETE', '/admin/mfa/totp', 'current_password', 'code'],
  // Last, as it may change what the others need.
  ['PUT', '/org/update', 'metadata', 'external_id', 'new_organization_name', 'organization_name'],
  ['PUT', '/org/update', 'email', 'password'],
];

test.each(ROUTES)(
  '%s %s takes any value of any field for good or refuses it',
  async (method, url, ...fields) => {
    const others = url === '/org/update' ? [] : fields.filter((field) => field in GOOD);
    const valid = Object.fromEntries(others.map((field) => [field, GOOD[field]]));
    const headers = { ...acme.auth, 'content-type': 'application/json' };
    for (const field of fields)
      for (const value of VALUES) {
        const payload = JSON.stringify({ ...valid, [field]: value });
        const answer = await service.app.inject({ method, url, headers, payload });
        const what = `${field}: ${JSON.stringify(value).slice(0, 40)}: ${answer.body.slice(0, 200)}`;
        expect(answer.statusCode, what).toBeLessThan(500);
      }
  },
);
