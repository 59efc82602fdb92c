import type { LightMyRequestResponse } from 'fastify';
import { ObjectId } from 'mongodb';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { apiOf, bearer, tally } from '../support/api.ts';
import { contradictions } from '../support/database-truth.ts';
import {
  accept,
  anInvitation,
  authOf,
  invite,
  resend,
  revoke,
  type Sent,
  SOME_PASSWORD,
  somebodyNew,
} from '../support/invitations.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const ROUNDS = 5;

let first: TestService;
let second: TestService;
// Two instances on one database, and one mailer: requests go to them in turn.
beforeAll(async () => {
  first = await startTestService();
  const { masterDatabase: database } = first.settings;
  second = await startTestService({ database, clock: first.clock, mailer: first.mails });
});
afterEach(async () => {
  expect(await contradictions(first.db)).toEqual([]);
  const half = { $or: [{ accepting: { $exists: true } }, { 'pending.kind': 'join' }] };
  for (const name of ['invitations', 'memberships'])
    expect(await first.db.collection(name).countDocuments(half)).toBe(0);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

const by = (n: number) => (n % 2 === 0 ? first : second);

function times(count: number, request: (n: number) => Promise<LightMyRequestResponse>) {
  return Promise.all(Array.from({ length: count }, (_, n) => request(n)));
}

const countOf = (collection: string, filter = {}) =>
  first.db.collection(collection).countDocuments(filter);

const membersOf = ({ organization }: SignedUp) =>
  countOf('memberships', { organization_id: new ObjectId(organization.id) });

const adminOf = (email: string) => first.db.collection('admins').findOne({ email });

/** Fails when an answer is none of these. */
function only(responses: readonly LightMyRequestResponse[], ...kinds: string[]): void {
  expect(kinds).toEqual(expect.arrayContaining(Object.keys(tally(responses))));
}

test('20 acceptances of one invitation by a new person: one member, one account', async () => {
  for (let round = 0; round < 3; round += 1) {
    const acme = await signUpAndIn(first);
    const { email, token } = await anInvitation(first, acme);
    const body = { token, password: SOME_PASSWORD };
    const responses = await times(20, (n) => accept(by(n), body));
    expect(tally(responses)).toEqual({ '200': 1, '404 invitation_not_found': 19 });
    expect(await membersOf(acme)).toBe(2);
    expect(await countOf('admins', { email })).toBe(1);
    expectStatus(await apiOf(first).login({ email, password: SOME_PASSWORD }), 200);
  }
});

test('20 acceptances with different passwords: the account has the one of who was let in', async () => {
  const acme = await signUpAndIn(first);
  const { email, token } = await anInvitation(first, acme);
  const passwords = Array.from({ length: 20 }, (_, n) => `${SOME_PASSWORD} ${n}`);
  const responses = await times(20, (n) => accept(by(n), { token, password: passwords[n] }));
  const winner = responses.findIndex(({ statusCode }) => statusCode === 200);
  expect(tally(responses)['200']).toBe(1);
  only(responses, '200', '404 invitation_not_found', '401 invalid_credentials');
  expect(await membersOf(acme)).toBe(2);
  expectStatus(await apiOf(first).login({ email, password: passwords[winner] }), 200);
});

test('20 acceptances of one invitation by somebody with an account: one member', async () => {
  const [acme, globex] = [await signUpAndIn(first), await signUpAndIn(first)];
  const { email, password } = globex.signUp;
  const { token } = await anInvitation(first, acme, { email });
  const responses = await times(20, (n) =>
    n % 4 < 2 ? accept(by(n), { token }, globex.auth) : accept(by(n), { token, password }),
  );
  expect(tally(responses)).toEqual({ '200': 1, '404 invitation_not_found': 19 });
  expect(await membersOf(acme)).toBe(2);
});

test('invitations of several organizations, accepted by one new person at once: one account', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const email = somebodyNew();
    const organizations = await Promise.all(Array.from({ length: 4 }, () => signUpAndIn(first)));
    const sent: Sent[] = [];
    for (const one of organizations) sent.push(await anInvitation(first, one, { email }));
    const responses = await times(4, (n) =>
      accept(by(n), { token: sent[n]?.token, password: SOME_PASSWORD }),
    );
    expect(tally(responses)).toEqual({ '200': 4 });
    const admin = await adminOf(email);
    expect(await countOf('memberships', { admin_id: admin?._id })).toBe(4);
    expect(await countOf('admins', { email })).toBe(1);
  }
});

test('an acceptance against the revocation: one of the two happens', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const acme = await signUpAndIn(first);
    const { id, token, email } = await anInvitation(first, acme);
    const [accepted, revoked] = await Promise.all([
      accept(second, { token, password: SOME_PASSWORD }),
      revoke(first, acme.auth, id),
    ]);
    only([accepted], '200', '404 invitation_not_found');
    only([revoked], '204', '404 invitation_not_found');
    expect([accepted.statusCode, revoked.statusCode].sort()).toEqual(
      accepted.statusCode === 200 ? [200, 404] : [204, 404],
    );
    expect(await membersOf(acme)).toBe(accepted.statusCode === 200 ? 2 : 1);
    expect((await adminOf(email)) === null).toBe(accepted.statusCode !== 200);
  }
});

test('an acceptance against sending it again: the link before is used, or dead', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const acme = await signUpAndIn(first);
    const { id, token, email } = await anInvitation(first, acme);
    const body = { token, password: SOME_PASSWORD };
    const [accepted, resent] = await Promise.all([
      accept(second, body),
      resend(first, acme.auth, id),
    ]);
    expect([accepted.statusCode, resent.statusCode].sort()).toEqual([200, 404]);
    if (resent.statusCode === 200)
      expectStatus(await accept(first, { ...body, token: tokenIn(first.mails.to(email)) }), 200);
    expect(await membersOf(acme)).toBe(2);
  }
});

test('20 invitations of one address: one is made, and one mail sent', async () => {
  const acme = await signUpAndIn(first);
  const email = somebodyNew();
  const responses = await times(20, (n) => invite(by(n), acme.auth, { email, role: 'viewer' }));
  expect(tally(responses)).toEqual({ '201': 1, '409 already_invited': 19 });
  expect(first.mails.to(email)).toHaveLength(1);
});

test('acceptances against the deletion of the organization: nothing is left, and nobody', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const [acme, globex] = [await signUpAndIn(first), await signUpAndIn(first)];
    const stranger = await anInvitation(first, acme);
    const { email, password } = globex.signUp;
    const known = await anInvitation(first, acme, { email });
    const [deleted, ...accepted] = await Promise.all([
      apiOf(first).remove({ headers: acme.auth }),
      accept(second, { token: stranger.token, password: SOME_PASSWORD }),
      accept(first, { token: known.token, password }),
    ]);
    expectStatus(deleted, 200);
    only(accepted, '200', '404 invitation_not_found', '404 organization_not_found');
    expect(await membersOf(acme)).toBe(0);
    expect(await adminOf(stranger.email)).toBeNull();
    expect(await adminOf(email)).not.toBeNull();
  }
});

test('an acceptance against the end of the person’s only other membership: no account without one', async () => {
  for (let round = 0; round < 2 * ROUNDS; round += 1) {
    const [acme, globex] = [await signUpAndIn(first), await signUpAndIn(first)];
    const { email, password } = globex.signUp;
    const { token } = await anInvitation(first, acme, { email });
    const body = round % 2 === 0 ? { token, password } : { token };
    const [deleted, accepted] = await Promise.all([
      apiOf(first).remove({ headers: globex.auth }),
      accept(second, body, round % 2 === 0 ? {} : globex.auth),
    ]);
    expectStatus(deleted, 200);
    only([accepted], '200', '401 invalid_token', '401 invalid_credentials');
    expect(await membersOf(acme)).toBe(accepted.statusCode === 200 ? 2 : 1);
    expect((await adminOf(email)) === null).toBe(accepted.statusCode !== 200);
  }
});

test('the removal of a member against inviting them anew and accepting: in or out, not half', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const acme = await signUpAndIn(first);
    const sent = await anInvitation(first, acme);
    const body = { token: sent.token, password: SOME_PASSWORD };
    const joined = expectStatus(await accept(first, body), 200).json();
    // Past the service, which does not invite who is a member.
    const again = await anInvitation(first, acme);
    await first.db
      .collection('invitations')
      .updateOne({ email: again.email }, { $set: { email: sent.email } });
    const url = `/org/members/${joined.admin.id}`;
    const [removed, accepted] = await Promise.all([
      first.app.inject({ method: 'DELETE', url, headers: acme.auth }),
      accept(second, { ...body, token: again.token }),
    ]);
    expectStatus(removed, 204);
    only([accepted], '200', '404 organization_not_found', '409 invitation_busy');
    const me = await first.app.inject({ url: '/org/members', headers: acme.auth });
    const { data } = expectStatus(me, 200).json();
    expect(await membersOf(acme)).toBe(data.length);
    if (accepted.statusCode !== 200) expect(data).toHaveLength(1);
  }
});

test('invitations and acceptances against the deletion of their role: it is deleted, or given', async () => {
  for (let round = 0; round < 2 * ROUNDS; round += 1) {
    const acme = await signUpAndIn(first);
    const { auth: headers } = acme;
    const payload = { name: 'guest', permissions: ['org:read'] };
    const roles = { method: 'POST', url: '/org/roles', headers, payload } as const;
    expectStatus(await first.app.inject(roles), 201);
    const email = somebodyNew();
    const body = { email, role: 'guest' };
    const inviting = round % 2 === 0;
    const sent = inviting ? undefined : await anInvitation(first, acme, body);
    const [deleted, other] = await Promise.all([
      first.app.inject({ method: 'DELETE', url: '/org/roles/guest', headers }),
      inviting
        ? invite(second, headers, body)
        : accept(second, { token: sent?.token, password: SOME_PASSWORD }),
    ]);
    only([deleted], '204', '409 role_in_use');
    if (inviting) only([other], '201', '422 unknown_role');
    else expectStatus(other, 200);
    const organization_id = new ObjectId(acme.organization.id);
    const given =
      (await countOf('memberships', { organization_id, role: 'guest' })) +
      (await countOf('invitations', { organization_id, role: 'guest', state: 'pending' }));
    if (deleted.statusCode === 204) expect(given).toBe(0);
    else expect(await countOf('roles', { organization_id })).toBe(1);
    if (!inviting) expect(given).toBe(1);
  }
});

test('somebody who accepts and signs up at once has one account, and both organizations', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const acme = await signUpAndIn(first);
    const { email, token } = await anInvitation(first, acme);
    const organization_name = `Own ${email}`;
    const [accepted, created] = await Promise.all([
      accept(first, { token, password: SOME_PASSWORD }),
      apiOf(second).create({ organization_name, email, password: SOME_PASSWORD }),
    ]);
    expectStatus(accepted, 200);
    only([created], '201', '409 email_taken');
    expect(await countOf('admins', { email })).toBe(1);
    const own = created.statusCode === 201 ? 1 : 0;
    expect(await countOf('memberships', { admin_id: (await adminOf(email))?._id })).toBe(1 + own);
    expectStatus(await first.app.inject({ url: '/admin/me', ...bearer(accepted.json()) }), 200);
    expect(authOf(accepted.json()).authorization).toMatch(/^Bearer /);
  }
});
