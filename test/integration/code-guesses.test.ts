import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { forgot, reset } from '../support/account-links.ts';
import { apiOf } from '../support/api.ts';
import { enrolled } from '../support/authenticator.ts';
import { someAddress } from '../support/guessing.ts';
import { somebodyNew } from '../support/invitations.ts';
import { post } from '../support/limits.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import { expectStatus, startTestService, type TestService } from '../support/test-service.ts';

const HOURS = 5;
/** A little less than the time for which an account is blocked at last. */
const PAUSE_MS = 12 * 60_000;
const PAUSES_AN_HOUR = 5;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ settings: { rateLimits: true } });
});
afterAll(() => service[Symbol.asyncDispose]());

const wasCompared = (answer: LightMyRequestResponse) =>
  answer.statusCode >= 400 && answer.json().code === 'invalid_code';

/** At first ten, then one every quarter of an hour: 96 a day, of a million codes. */
test('whoever reads the mailbox guesses no more codes by resetting the password in between', async () => {
  const ada = await enrolled(service, apiOf(service));
  const { email } = ada.signUp;
  const from = someAddress();
  let compared = 0;
  for (let n = 0; n < HOURS * PAUSES_AN_HOUR; n += 1) {
    expectStatus(await forgot(service, { email }), 202);
    await service.services.mailTasks.idle();
    const password = `a passphrase of the thief ${n}`;
    const token = tokenIn(service.mails.to(email));
    expectStatus(await reset(service, { token, password }), 204);
    for (;;) {
      const body = { email, password, code: ada.app.wrongCode() };
      const guess = await post(service, '/admin/login', body, from);
      if (!wasCompared(guess)) break;
      compared += 1;
    }
    service.clock.advance(PAUSE_MS);
  }
  expect(compared).toBeGreaterThanOrEqual(10);
  expect(compared).toBeLessThanOrEqual(10 + 4 * HOURS);
});

test('whoever has a session and the password guesses ten codes, by whichever route', async () => {
  const ada = await enrolled(service, apiOf(service));
  const { email, password } = ada.signUp;
  const remoteAddress = someAddress();
  const send = (method: 'DELETE' | 'PATCH' | 'PUT' | 'POST', url: string, body: object) =>
    service.app.inject({
      ...{ method, url, headers: ada.auth, remoteAddress },
      payload: { ...body, code: ada.app.wrongCode() },
    });
  const current_password = password;
  const compared: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const answers = [
      await send('DELETE', '/admin/mfa/totp', { current_password }),
      await send('PUT', '/org/update', { current_password, email: somebodyNew() }),
      await send('PATCH', '/admin/me', { current_password, email: somebodyNew() }),
      await send('POST', '/admin/mfa/recovery-codes', { current_password }),
      await send('POST', '/admin/login', { email, password }),
    ];
    compared.push(answers.filter(wasCompared).length);
  }
  expect(compared).toEqual([5, 5, 0, 0, 0]);
});
