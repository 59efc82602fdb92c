import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SmtpMailer } from '../../src/mail/smtp-mailer.ts';
import { changeMe, confirmEmail, forgot, reset } from '../support/account-links.ts';
import { apiOf, expectProblem, pathsOf } from '../support/api.ts';
import { changingNothing } from '../support/database-truth.ts';
import { accept, invite, SOME_PASSWORD, somebodyNew } from '../support/invitations.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import { startSmtpServer, type TestSmtpServer } from '../support/smtp-server.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';
import { mailerTo } from '../unit/mail/some-mail.ts';

// Each walk once through a real conversation with a mail server, which is asked what arrived.
let server: TestSmtpServer;
let mailer: SmtpMailer;
let service: TestService;
beforeAll(async () => {
  server = await startSmtpServer();
  mailer = mailerTo(server);
  service = await startTestService({ mailer });
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await mailer[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const arrived = (email: string) =>
  server.mails.filter(({ recipients }) => recipients.includes(email));

test('an invitation', async () => {
  const acme = await signUpAndIn(service);
  const { organization_name } = acme.signUp;
  const email = somebodyNew();
  expectStatus(await invite(service, acme.auth, { email, role: 'editor' }), 201);
  // The mail is there before the answer is.
  const [mail] = arrived(email);
  expect(mail?.headers.subject).toBe(`Invitation to join ${organization_name}`);
  expect(mail?.html).toContain(tokenIn(arrived(email)));
  expect(mail?.text).toContain('https://tenantry.example/invite#token=');
  const body = { token: tokenIn(arrived(email)), password: SOME_PASSWORD };
  expect(expectStatus(await accept(service, body), 200).json()).toMatchObject({
    admin: { email },
    organization: { organization_name, role: 'editor' },
  });
});

test('an invitation of an address that the mail server does not know', async () => {
  const acme = await signUpAndIn(service);
  server.behaviour.recipientReply = '550 5.1.1 no such mailbox';
  try {
    await changingNothing(service.db, async () => {
      const body = { email: somebodyNew(), role: 'editor' };
      const problem = expectProblem(await invite(service, acme.auth, body), 422, 'mail_refused');
      expect(pathsOf(problem)).toEqual(['/email']);
    });
  } finally {
    delete server.behaviour.recipientReply;
  }
});

test('a forgotten password', async () => {
  const acme = await signUpAndIn(service);
  const { email } = acme.signUp;
  expectStatus(await forgot(service, { email }), 202);
  await service.services.mailTasks.idle();
  const body = { token: tokenIn(arrived(email)), password: 'an entirely different passphrase' };
  expectStatus(await reset(service, body), 204);
  expectStatus(await apiOf(service).login({ email, password: body.password }), 200);
  await service.services.mailTasks.idle();
  expect(arrived(email).map(({ headers }) => headers.subject)).toEqual([
    'Choose a new password',
    'Your password was changed',
  ]);
});

test('another e-mail address', async () => {
  const acme = await signUpAndIn(service);
  const { email: old, password } = acme.signUp;
  const email = somebodyNew();
  const change = { email, current_password: password };
  expectStatus(await changeMe(service, acme.auth, change), 200);
  expectStatus(await confirmEmail(service, { token: tokenIn(arrived(email)) }), 204);
  expectStatus(await apiOf(service).login({ email, password }), 200);
  await service.services.mailTasks.idle();
  expect(arrived(old).map(({ headers }) => headers.subject)).toEqual([
    'Your e-mail address was changed',
  ]);
});
