import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROUTE_POLICIES } from '../../src/rate-limits/route-limits.ts';
import { apiOf, bearer, tally } from '../support/api.ts';
import { someAddress, WRONG_PASSWORD } from '../support/guessing.ts';
import { somebodyNew } from '../support/invitations.ts';
import { post } from '../support/limits.ts';
import { signUpAndIn, startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ settings: { rateLimits: true } });
});
afterAll(() => service[Symbol.asyncDispose]());

/** All that is the same for everybody who asks the same. */
function withoutIds({ statusCode, headers, body }: LightMyRequestResponse) {
  const { 'x-request-id': _, date: __, ...rest } = headers;
  const { request_id: ___, ...problem } = body === '' ? {} : JSON.parse(body);
  return { statusCode, headers: rest, problem };
}

async function answersTo(email: string) {
  const from = someAddress();
  const answers = [];
  for (let n = 0; n < 12; n += 1)
    answers.push(await post(service, '/admin/login', { email, password: WRONG_PASSWORD }, from));
  for (let n = 0; n < 7; n += 1)
    answers.push(await post(service, '/admin/password/forgot', { email }, from));
  return answers.map(withoutIds);
}

test('an address with an account is answered as one without, up to the limits and past them', async () => {
  const { email } = (await signUpAndIn(service)).signUp;
  const known = await answersTo(email);
  expect(await answersTo(email.replace('ada', 'eda'))).toEqual(known);
  expect([...new Set(known.map(({ statusCode }) => statusCode))].sort()).toEqual([202, 401, 429]);
});

test('spellings of one address have the guesses of one account', async () => {
  const { email } = (await signUpAndIn(service)).signUp;
  const [local, domain] = email.split('@');
  const spellings = [
    ...[email, email.toUpperCase(), email.replace('ada', 'Ada')],
    ...[` ${email}`, `${email} `, `${email}.`, email.replace('a', 'ａ')],
    `"${local}"@${domain}`,
  ];
  const from = someAddress();
  const answers = [];
  for (let n = 0; n < 5; n += 1)
    for (const one of spellings) {
      const body = { email: one, password: WRONG_PASSWORD };
      answers.push(await post(service, '/admin/login', body, from));
    }
  expect(tally(answers)['401 invalid_credentials']).toBe(10);
});

test('an address that PUT /org/update names again and again is sent few mails', async () => {
  const ada = await signUpAndIn(service);
  const stranger = somebodyNew();
  const answers = [];
  for (let n = 0; n < 10; n += 1)
    for (const email of [stranger, ada.signUp.email])
      answers.push(await apiOf(service).update({ email }, bearer(ada.tokens)));
  await service.services.mailTasks.idle();
  const { quota } = ROUTE_POLICIES.emailChange;
  expect(tally(answers)).toEqual({ '200': quota, '429 rate_limit_exceeded': 20 - quota });
  expect(service.mails.to(stranger).length).toBeLessThanOrEqual(quota);
});
