import { Writable } from 'node:stream';
import pino from 'pino';
import { expect, test } from 'vitest';
import { MailUnavailableError } from '../../src/mail/mail-errors.ts';
import { tokenHash } from '../../src/one-time-tokens/one-time-tokens.ts';
import { changeMe, confirmEmail, forgot, reset } from '../support/account-links.ts';
import { apiOf, bearer, expectProblem } from '../support/api.ts';
import { accept, anInvitation, invite, lookUp, somebodyNew } from '../support/invitations.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  signUpAndIn,
  someSignUp,
  startTestService,
} from '../support/test-service.ts';

test('the log says what happened, and holds no password, token or hash', async () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  await using service = await startTestService({ logger: pino({ level: 'trace' }, stream) });
  const api = apiOf(service);
  const password = 'first-secret-passphrase';
  const wrong = 'wrong-secret-passphrase';
  const fresh = 'fresh-secret-passphrase';
  const acme = await signUpAndIn(service, { password });
  const { email, organization_name } = acme.signUp;

  const key = { headers: { 'idempotency-key': 'secret-idempotency-key' } };
  expectStatus(await api.create(someSignUp({ password }), key), 201);
  expectStatus(await api.create({ email, password, organization_name: 7 }), 422);
  expectStatus(await api.create({ email, organization_name, password: `${wrong}\0` }), 422);
  expectStatus(await api.create(someSignUp({ email, password: wrong })), 409);
  expectStatus(await api.login({ email, password: wrong }), 401);
  expectStatus(await api.loginByForm({ username: email, password }), 200);
  const url = `/org/get?organization_name=x&token=${acme.tokens.access_token}`;
  expectStatus(await service.app.inject({ url }), 400);
  expectStatus(await service.app.inject({ url: `${url}%zz` }), 400);
  expectStatus(await api.update({ password: fresh }, { headers: acme.auth }), 200);
  const pair = expectStatus(await api.refresh(acme.tokens.refresh_token), 200).json();
  service.clock.advance(60_000);
  expectStatus(await api.refresh(acme.tokens.refresh_token), 401);
  expectStatus(await api.get(undefined, bearer(pair)), 401);
  // A failure that nobody foresaw is logged with all there is to know of it.
  await service.db.collection('admins').updateOne({ email }, { $set: { password: 'broken' } });
  expectStatus(await api.login({ email, password: fresh }), 500);

  const log = lines.join('');
  expect(log).toContain('unexpected error');
  expect(log).toContain('POST /admin/login 401');
  for (const secret of [
    password,
    wrong,
    fresh,
    'secret-idempotency-key',
    acme.tokens.access_token,
    acme.tokens.refresh_token,
    pair.access_token,
    pair.refresh_token,
    '$2b$',
    service.settings.jwtSecret,
  ])
    expect(log).not.toContain(secret);
});

test('the log holds no token of a link in a mail, nor its hash', async () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  await using service = await startTestService({ logger: pino({ level: 'trace' }, stream) });
  const password = 'first-secret-passphrase';
  const acme = await signUpAndIn(service, { password });
  const { email } = acme.signUp;
  const { token: invited } = await anInvitation(service, acme);
  const next = somebodyNew();
  const change = { email: next, current_password: password };
  expectStatus(await changeMe(service, acme.auth, change), 200);
  const confirming = tokenIn(service.mails.to(next));
  expectStatus(await forgot(service, { email }), 202);
  await service.services.mailTasks.idle();
  const resetting = tokenIn(service.mails.to(email));
  const tokens = [invited, confirming, resetting];
  for (const token of tokens) {
    await lookUp(service, { token });
    await lookUp(service, { token: [token] });
    await service.app.inject({ url: `/invite?token=${token}` });
  }
  service.mails.failure = new MailUnavailableError(new Error('away'));
  const failed = await invite(service, acme.auth, { email: somebodyNew(), role: 'viewer' });
  expectProblem(failed, 503, 'mail_unavailable');
  service.mails.failure = undefined;
  expectStatus(await accept(service, { token: invited, password }), 200);
  expectStatus(await reset(service, { token: resetting, password: 'fresh-passphrase' }), 204);
  expectProblem(await confirmEmail(service, { token: confirming }), 422, 'email_token_invalid');
  await service.services.mailTasks.idle();

  const log = lines.join('');
  expect(log).toContain('POST /invitations/accept 200');
  expect(log).toContain('mail_unavailable');
  const hashes = [
    tokenHash('invitation', invited),
    tokenHash('password reset', resetting),
    tokenHash('e-mail change', confirming),
  ];
  for (const secret of [...tokens, ...hashes, password, 'fresh-passphrase'])
    expect(log).not.toContain(secret);
});

test('the log holds no password or token that was sent where it does not belong', async () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  await using service = await startTestService({ logger: pino({ level: 'trace' }, stream) });
  const { app } = service;
  const { signUp, tokens } = await signUpAndIn(service);
  const { email, password } = signUp;
  await app.inject({ url: `/admin/me/${tokens.access_token}` });
  await app.inject({ url: `/org/get?organization_name=${tokens.refresh_token}` });
  const login = { method: 'POST', url: '/admin/login' } as const;
  const headers = { 'content-type': 'application/json' };
  const cutOff = JSON.stringify({ email, password }).slice(0, -1);
  await app.inject({ ...login, headers, payload: cutOff });
  const odd = {
    authorization: `Basic ${password}`,
    'content-type': `text/${tokens.refresh_token}`,
  };
  await app.inject({ ...login, headers: odd, payload: password });

  const log = lines.join('');
  expect(log).toContain('POST /admin/login 415');
  for (const secret of [password, tokens.access_token, tokens.refresh_token])
    expect(log).not.toContain(secret);
});
