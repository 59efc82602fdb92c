import type { LightMyRequestResponse } from 'fastify';
import { beforeAll, expect, test, vi } from 'vitest';
import { changeMe, forgot } from '../support/account-links.ts';
import { apiOf } from '../support/api.ts';
import { postKey } from '../support/api-keys.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { invite, somebodyNew } from '../support/invitations.ts';
import { expectStatus, type SignedUp, signUpAndIn } from '../support/test-service.ts';

// A test goes through every instant of an operation.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let paused: Instance;
let other: Instance;
beforeAll(async () => {
  cluster = await Cluster.create();
  paused = await cluster.instance();
  other = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

type Operation = (acme: SignedUp) => Promise<LightMyRequestResponse>;

const post = (url: string, { auth: headers }: SignedUp, payload: object) =>
  paused.app.inject({ method: 'POST', url, headers, payload });

const OPERATIONS: [name: string, operation: Operation][] = [
  [
    'a link for a forgotten password',
    async ({ signUp: { email } }) => {
      const answer = await forgot(paused, { email });
      await paused.services.mailTasks.idle();
      return answer;
    },
  ],
  [
    'a change of the e-mail address',
    ({ auth, signUp: { password } }) =>
      changeMe(paused, auth, { current_password: password, email: somebodyNew() }),
  ],
  ['a role', (acme) => post('/org/roles', acme, { name: 'late', permissions: [] })],
  [
    'an API key',
    (acme) => postKey(paused, acme.auth, { name: 'late', permissions: ['record:read'] }, 'late'),
  ],
  ['an invitation', ({ auth }) => invite(paused, auth, { email: somebodyNew(), role: 'viewer' })],
  ['a session', ({ signUp: { email, password } }) => apiOf(paused).login({ email, password })],
  [
    'a session in place of another',
    (acme) => post('/admin/switch', acme, { organization_id: acme.organization.id }),
  ],
];

/**
 * One instance is paused after every call in turn that it takes to make something; meanwhile another one deletes the
 * organization, and with it the account. What the paused one does then belongs to nobody.
 */
test.each(OPERATIONS)(
  '%s made while the organization is deleted is not left behind',
  async (_, operation) => {
    for (let reply = 1; ; reply += 1) {
      await cluster.empty();
      const acme = await signUpAndIn(other);
      const course = await paused.stopper.during({ reply }, () => operation(acme));
      expectStatus(await apiOf(other).remove({ headers: acme.auth }), 200);
      if (course.kind === 'ended') expect(course.result.statusCode).toBeLessThan(300);
      else expect((await course.wakeUp()).statusCode).toBeLessThan(500);
      await paused.services.mailTasks.idle();
      expect(await contradictions(cluster.db), `reply ${reply}`).toEqual([]);
      if (course.kind === 'ended') break;
    }
  },
);
