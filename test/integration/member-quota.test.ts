import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { expectProblem, pathsOf, tally } from '../support/api.ts';
import { contradictions } from '../support/database-truth.ts';
import {
  accept,
  anInvitation,
  invite,
  SOME_PASSWORD,
  somebodyNew,
} from '../support/invitations.ts';
import { aMember } from '../support/members.ts';
import { getUsage, idOf } from '../support/structure.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let first: TestService;
let second: TestService;
let acme: SignedUp;
beforeAll(async () => {
  first = await startTestService();
  const { masterDatabase: database } = first.settings;
  second = await startTestService({ database, clock: first.clock, mailer: first.mails });
});
beforeEach(async () => {
  acme = await signUpAndIn(first);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

const allow = (max_members: number) => first.services.quotas.set(idOf(acme), { max_members });
const members = async () => (await getUsage(first, acme)).json().members;
const by = (n: number) => (n % 2 === 0 ? first : second);

async function invitations(count: number): Promise<string[]> {
  const tokens: string[] = [];
  for (let n = 0; n < count; n += 1) tokens.push((await anInvitation(first, acme)).token);
  return tokens;
}

const join = (service: TestService, token: string) =>
  accept(service, { token, password: SOME_PASSWORD });

test('nobody joins, and nobody is invited, when there are as many members as there may be', async () => {
  const [one = '', other = ''] = await invitations(2);
  await allow(2);
  expectStatus(await join(first, one), 200);
  const refused = expectProblem(await join(first, other), 403, 'quota_exceeded');
  expect(pathsOf(refused)).toEqual(['/quota/max_members']);
  const body = { email: somebodyNew(), role: 'viewer' };
  expectProblem(await invite(first, acme.auth, body), 403, 'quota_exceeded');
  expect(await members()).toBe(2);
  expect(await contradictions(first.db)).toEqual([]);
  // The invitation is still good.
  await allow(3);
  expectStatus(await join(second, other), 200);
});

test('a member accepts an invitation whatever the quota is', async () => {
  const member = await aMember(first, acme, 'viewer');
  const globex = await signUpAndIn(first);
  const { email } = member;
  const { token } = await anInvitation(first, globex, { email });
  expectStatus(await accept(first, { token }, member.auth), 200);
  await first.services.quotas.set(idOf(globex), { max_members: 1 });
  expect((await getUsage(first, globex)).json().members).toBe(2);
});

test('of many who join at once, on two instances, as many get in as there may be', async () => {
  for (let round = 0; round < 3; round += 1) {
    acme = await signUpAndIn(first);
    const tokens = await invitations(8);
    await allow(4);
    const answers = await Promise.all(tokens.map((token, n) => join(by(n), token)));
    const counts = tally(answers);
    expect(await members()).toBeLessThanOrEqual(4);
    expect(['200', '403 quota_exceeded', '409 invitation_busy']).toEqual(
      expect.arrayContaining(Object.keys(counts)),
    );
    expect(await contradictions(first.db)).toEqual([]);
  }
});
