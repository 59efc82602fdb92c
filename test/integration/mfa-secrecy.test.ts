import { Writable } from 'node:stream';
import { Secret } from 'otpauth';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem } from '../support/api.ts';
import { Authenticator, enrolled, STEP_MS } from '../support/authenticator.ts';
import { placesNaming } from '../support/database-truth.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let api: Api;
const lines: string[] = [];
const stream = new Writable({
  write(chunk, _encoding, done) {
    lines.push(String(chunk));
    done();
  },
});
beforeAll(async () => {
  service = await startTestService({ logger: pino({ level: 'trace' }, stream) });
  api = apiOf(service);
});
afterAll(() => service[Symbol.asyncDispose]());

const admins = () => service.db.collection('admins');

/** Every way in which a secret or a recovery code could be written down. */
function formsOf(secret: string, recoveryCodes: readonly string[]): string[] {
  const bytes = Buffer.from(Secret.fromBase32(secret).bytes);
  return [
    ...[secret, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('latin1')],
    ...recoveryCodes.flatMap((code) => [code, code.replaceAll('-', '')]),
  ].flatMap((form) => [form, form.toLowerCase()]);
}

test('neither the database, nor the log, nor any other answer holds a secret or a code', async () => {
  const ada = await signUpAndIn(service);
  const { email, password } = ada.signUp;
  const options = bearer(ada.tokens);
  const answers: string[] = [];
  const sent = async (response: ReturnType<Api['login']>) => {
    answers.push((await response).body);
  };
  const begun = await api.beginTotp({ current_password: password }, options);
  const { secret, otpauth_uri } = expectStatus(begun, 200).json();
  const pending = await placesNaming(service.db, ...formsOf(secret, []));
  expect(pending).toEqual([]);
  const app = new Authenticator(otpauth_uri, service.clock);
  const code = app.code();
  const confirmed = expectStatus(await api.confirmTotp({ code }, options), 200);
  const codes: string[] = confirmed.json().recovery_codes;
  const forms = formsOf(secret, codes);

  service.clock.advance(STEP_MS);
  await sent(api.login({ email, password, code: app.code() }));
  await sent(api.login({ email, password, code: app.code() }));
  await sent(api.login({ email, password, code: codes[0] }));
  await sent(api.login({ email, password, code: `${codes[1]}x` }));
  await sent(api.create({ ...ada.signUp, code: codes[2] }));
  await sent(api.get(undefined, options));
  await sent(api.me(options));
  await sent(api.update({ email, code: codes[3] }, options));
  await sent(api.removeTotp({ current_password: password, code: `${codes[4]}\0` }, options));
  await sent(api.removeTotp({ current_password: 'wrong', code: codes[4] }, options));

  expect(await placesNaming(service.db, ...forms)).toEqual([]);
  const log = lines.join('');
  expect(log).toContain('POST /admin/mfa/totp/confirm 200');
  for (const form of [...forms, code, otpauth_uri, 'otpauth:'])
    for (const text of [log, ...answers]) expect(text).not.toContain(form);
});

test('a secret copied to another account opens nothing there, and is reported', async () => {
  const [ada, mallory] = [await enrolled(service, api), await enrolled(service, api)];
  const totp = (await admins().findOne({ email: ada.signUp.email }))?.totp;
  const moved = {
    $set: { 'totp.secret': totp.secret, 'totp.recovery_codes': totp.recovery_codes },
  };
  await admins().updateOne({ email: mallory.signUp.email }, moved);
  const { email, password } = mallory.signUp;
  for (const code of [ada.app.code(), mallory.app.code(), ada.recoveryCodes[0]])
    expectProblem(await api.login({ email, password, code }), 401, 'invalid_code');
  expect(lines.join('')).toContain('the secret of a second factor cannot be opened');
  const own = { email: ada.signUp.email, password: ada.signUp.password };
  expectStatus(await api.login({ ...own, code: ada.app.code() }), 200);
});

test.each(['secret', 'recovery_codes', 'last_step'])(
  'a factor whose %s is broken lets nobody in, and breaks nothing',
  async (field) => {
    const ada = await enrolled(service, api);
    const { email, password } = ada.signUp;
    const value = field === 'recovery_codes' ? [] : field === 'secret' ? Buffer.from('x') : 'x';
    await admins().updateOne({ email }, { $set: { [`totp.${field}`]: value } });
    const code = field === 'recovery_codes' ? ada.recoveryCodes[0] : ada.app.code();
    expectProblem(await api.login({ email, password, code }), 401, 'invalid_code');
  },
);

describe('a new JWT_SECRET', () => {
  const jwtSecret = 'the secret that takes the place of the other one';
  const instance = (previous: string[]) =>
    startTestService({
      database: service.settings.masterDatabase,
      clock: service.clock,
      settings: { jwtSecret, jwtPreviousSecrets: previous },
    });

  test('with the one before kept: app and recovery codes work, and the secret is sealed anew', async () => {
    const ada = await enrolled(service, api);
    const { email, password } = ada.signUp;
    const sealed = async () => (await admins().findOne({ email }))?.totp.secret.toString('hex');
    const before = await sealed();
    await using rotated = await instance([service.settings.jwtSecret]);
    const [first, other] = ada.recoveryCodes;
    expectStatus(await apiOf(rotated).login({ email, password, code: first }), 200);
    expect(await sealed()).toBe(before);
    expectStatus(await apiOf(rotated).login({ email, password, code: ada.app.code() }), 200);
    expect(await sealed()).not.toBe(before);

    // Once everybody has signed in, the old secret can be dropped: the app goes on, the old recovery codes do not.
    await using dropped = await instance([]);
    service.clock.advance(STEP_MS);
    const login = (code: string | undefined) => apiOf(dropped).login({ email, password, code });
    expectProblem(await login(other), 401, 'invalid_code');
    expectStatus(await login(ada.app.code()), 200);
  });

  test('without it nobody gets past the second factor, and the log says why', async () => {
    const ada = await enrolled(service, api);
    const { email, password } = ada.signUp;
    await using dropped = await instance([]);
    for (const code of [ada.app.code(), ada.recoveryCodes[0]])
      expectProblem(await apiOf(dropped).login({ email, password, code }), 401, 'invalid_code');
    expectProblem(await apiOf(dropped).login({ email, password }), 401, 'mfa_required');
    expectStatus(await api.login({ email, password, code: ada.app.code() }), 200);
  });
});
