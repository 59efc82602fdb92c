import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem } from '../support/api.ts';
import { Authenticator, enrolled, STEP_MS } from '../support/authenticator.ts';
import { changingNothing, contradictions } from '../support/database-truth.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const MINUTE_MS = 60_000;

let service: TestService;
let api: Api;
beforeAll(async () => {
  service = await startTestService();
  api = apiOf(service);
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await service[Symbol.asyncDispose]();
});

async function statusOf(person: SignedUp) {
  return expectStatus(await api.me(bearer(person.tokens)), 200).json().mfa;
}

/** Begins an enrolment and gives the app that goes with it. */
async function begin(person: SignedUp): Promise<Authenticator> {
  const body = { current_password: person.signUp.password };
  const begun = expectStatus(await api.beginTotp(body, bearer(person.tokens)), 200);
  return new Authenticator(begun.json().otpauth_uri, service.clock);
}

const confirm = (person: SignedUp, body: object) => api.confirmTotp(body, bearer(person.tokens));

test('the whole walk: set up, sign in, recover, renew the recovery codes, remove', async () => {
  const ada = await signUpAndIn(service);
  const { email, password } = ada.signUp;
  const options = bearer(ada.tokens);
  const begun = await api.beginTotp({ current_password: password }, options);
  expect(expectStatus(begun, 200).headers['cache-control']).toBe('no-store');
  const { secret, otpauth_uri, expires_at } = begun.json();
  expect(begun.json()).toEqual({
    secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
    otpauth_uri: `otpauth://totp/Tenantry:${encodeURIComponent(email)}?issuer=Tenantry&secret=${secret}&algorithm=SHA1&digits=6&period=30`,
    expires_at: new Date(service.clock.now().getTime() + 10 * MINUTE_MS).toISOString(),
  });
  expect(expires_at).toMatch(/Z$/);
  expectStatus(await api.login({ email, password }), 200);
  expect(await statusOf(ada)).toEqual({ totp: false, recovery_codes_left: 0 });

  const app = new Authenticator(otpauth_uri, service.clock);
  const confirmed = await confirm(ada, { code: app.code() });
  expect(expectStatus(confirmed, 200).headers['cache-control']).toBe('no-store');
  const { recovery_codes: codes } = confirmed.json();
  expect(new Set(codes).size).toBe(10);
  expect(await statusOf(ada)).toEqual({ totp: true, recovery_codes_left: 10 });

  expectProblem(await api.login({ email, password }), 401, 'mfa_required');
  service.clock.advance(STEP_MS);
  const signedIn = expectStatus(await api.login({ email, password, code: app.code() }), 200);
  expect(Object.keys(signedIn.json())).toEqual(Object.keys(ada.tokens));
  service.clock.advance(STEP_MS);
  expectStatus(await api.loginByForm({ username: email, password, code: app.code() }), 200);
  expectStatus(await api.login({ email, password, code: codes[0] }), 200);
  expect(await statusOf(ada)).toEqual({ totp: true, recovery_codes_left: 9 });

  service.clock.advance(STEP_MS);
  const proof = { current_password: password, code: app.code() };
  const renewed = expectStatus(await api.replaceRecoveryCodes(proof, options), 200).json();
  expect(await statusOf(ada)).toEqual({ totp: true, recovery_codes_left: 10 });
  expectProblem(await api.login({ email, password, code: codes[1] }), 401, 'invalid_code');
  expectStatus(await api.login({ email, password, code: renewed.recovery_codes[1] }), 200);

  service.clock.advance(STEP_MS);
  const removal = { current_password: password, code: app.code() };
  expect(expectStatus(await api.removeTotp(removal, options), 204).body).toBe('');
  expect(await statusOf(ada)).toEqual({ totp: false, recovery_codes_left: 0 });
  expectStatus(await api.login({ email, password }), 200);
});

describe('beginning', () => {
  test('takes the password: an access token is not enough', async () => {
    const ada = await signUpAndIn(service);
    await changingNothing(service.db, async () => {
      const refused = await api.beginTotp({ current_password: 'wrong' }, bearer(ada.tokens));
      const problem = expectProblem(refused, 422, 'validation_failed');
      expect(problem.errors).toEqual([{ path: '/current_password', message: 'is wrong' }]);
      expectProblem(await api.beginTotp({}, bearer(ada.tokens)), 422, 'validation_failed');
      const { password } = ada.signUp;
      const unauthenticated = await api.beginTotp({ current_password: password });
      expectProblem(unauthenticated, 401, 'authentication_required');
    });
  });

  test('again makes another secret, and the first is worth nothing', async () => {
    const ada = await signUpAndIn(service);
    const first = await begin(ada);
    const second = await begin(ada);
    expectProblem(await confirm(ada, { code: first.code() }), 422, 'invalid_code');
    expectStatus(await confirm(ada, { code: second.code() }), 200);
  });

  test('is refused when a factor is in force', async () => {
    const ada = await enrolled(service, api);
    const body = { current_password: ada.signUp.password };
    await changingNothing(service.db, async () => {
      const refused = await api.beginTotp(body, bearer(ada.tokens));
      expectProblem(refused, 409, 'mfa_already_enabled');
    });
  });
});

describe('confirming', () => {
  test('takes a code of the pending secret, within ten minutes', async () => {
    const ada = await signUpAndIn(service);
    expectProblem(await confirm(ada, { code: '123456' }), 409, 'mfa_not_begun');
    const app = await begin(ada);
    const problem = expectProblem(
      await confirm(ada, { code: app.wrongCode() }),
      422,
      'invalid_code',
    );
    expect(problem.errors).toEqual([{ path: '/code', message: 'is wrong, or was used before' }]);
    expect(await statusOf(ada)).toEqual({ totp: false, recovery_codes_left: 0 });
    service.clock.advance(10 * MINUTE_MS);
    expectProblem(await confirm(ada, { code: app.code() }), 409, 'mfa_not_begun');
    const late = await begin(ada);
    service.clock.advance(10 * MINUTE_MS - 1);
    expectStatus(await confirm(ada, { code: late.code() }), 200);
    expectProblem(await confirm(ada, { code: late.code() }), 409, 'mfa_already_enabled');
  });

  test('ends with the tenth wrong code, so that it cannot be guessed', async () => {
    const ada = await signUpAndIn(service);
    const app = await begin(ada);
    for (let n = 0; n < 10; n += 1)
      expectProblem(await confirm(ada, { code: app.wrongCode() }), 422, 'invalid_code');
    expectProblem(await confirm(ada, { code: app.code() }), 409, 'mfa_not_begun');
    const again = await begin(ada);
    expectStatus(await confirm(ada, { code: again.code() }), 200);
  });

  test('uses its code up, for signing in as well', async () => {
    const ada = await signUpAndIn(service);
    const { email, password } = ada.signUp;
    const app = await begin(ada);
    expectStatus(await confirm(ada, { code: app.code() }), 200);
    expectProblem(await api.login({ email, password, code: app.code() }), 401, 'invalid_code');
    service.clock.advance(STEP_MS);
    expectStatus(await api.login({ email, password, code: app.code() }), 200);
  });

  test('ends the other sessions, unless told not to', async () => {
    const ada = await signUpAndIn(service);
    const { email, password } = ada.signUp;
    const other = expectStatus(await api.login({ email, password }), 200).json();
    const app = await begin(ada);
    const keeping = { code: app.code(), end_other_sessions: false };
    expectStatus(await confirm(ada, keeping), 200);
    expectStatus(await api.get(undefined, bearer(other)), 200);

    service.clock.advance(STEP_MS);
    const removal = { current_password: password, code: app.code() };
    const kept = { ...removal, end_other_sessions: false };
    expectStatus(await api.removeTotp(kept, bearer(ada.tokens)), 204);
    expectStatus(await api.get(undefined, bearer(other)), 200);
    const second = await begin(ada);
    expectStatus(await confirm(ada, { code: second.code() }), 200);
    expectProblem(await api.get(undefined, bearer(other)), 401, 'invalid_token');
    expectProblem(await api.refresh(other.refresh_token), 401, 'invalid_refresh_token');
    expectStatus(await api.get(undefined, bearer(ada.tokens)), 200);
  });
});

describe('removing, and renewing the recovery codes', () => {
  test.each(['removeTotp', 'replaceRecoveryCodes'] as const)(
    '%s takes the password and a code',
    async (operation) => {
      const ada = await enrolled(service, api);
      const { password: current_password } = ada.signUp;
      const call = (body: object) => api[operation](body, bearer(ada.tokens));
      const code = ada.app.code();
      await changingNothing(service.db, async () => {
        for (const [body, errorCode] of [
          [{ current_password: 'wrong', code }, 'validation_failed'],
          [{ current_password, code: ada.app.wrongCode() }, 'invalid_code'],
          [{ current_password, code: ada.app.code(-1) }, 'invalid_code'],
          [{ current_password, code: 'x' }, 'validation_failed'],
          [{ current_password, code: ' ' }, 'validation_failed'],
          [{ current_password }, 'validation_failed'],
          [{ code }, 'validation_failed'],
        ] as const)
          expectProblem(await call(body), 422, errorCode);
      });
      expect((await call({ current_password, code })).statusCode).toBeLessThan(300);
      const replayed = await call({ current_password, code });
      if (operation === 'removeTotp') expectProblem(replayed, 409, 'mfa_not_enabled');
      else expectProblem(replayed, 422, 'invalid_code');
    },
  );

  test('a recovery code will do, and removing ends the other sessions', async () => {
    const ada = await enrolled(service, api);
    const { email, password } = ada.signUp;
    const [first, second] = ada.recoveryCodes;
    const other = expectStatus(await api.login({ email, password, code: first }), 200).json();
    const removal = { current_password: password, code: second };
    expectStatus(await api.removeTotp(removal, bearer(ada.tokens)), 204);
    expectProblem(await api.get(undefined, bearer(other)), 401, 'invalid_token');
    expectStatus(await api.get(undefined, bearer(ada.tokens)), 200);
  });

  test('without a factor there is nothing to remove or renew', async () => {
    const ada = await signUpAndIn(service);
    const body = { current_password: ada.signUp.password, code: '123456' };
    const options = bearer(ada.tokens);
    expectProblem(await api.removeTotp(body, options), 409, 'mfa_not_enabled');
    expectProblem(await api.replaceRecoveryCodes(body, options), 409, 'mfa_not_enabled');
    await begin(ada);
    expectProblem(await api.removeTotp(body, options), 409, 'mfa_not_enabled');
  });

  test('a factor that was set up anew does not take the codes of the one before', async () => {
    const ada = await enrolled(service, api);
    const { email, password } = ada.signUp;
    const removal = { current_password: password, code: ada.app.code() };
    expectStatus(await api.removeTotp(removal, bearer(ada.tokens)), 204);
    const app = await begin(ada);
    expectStatus(await confirm(ada, { code: app.code() }), 200);
    service.clock.advance(STEP_MS);
    for (const code of [ada.app.code(), ada.recoveryCodes[0]])
      expectProblem(await api.login({ email, password, code }), 401, 'invalid_code');
    expectStatus(await api.login({ email, password, code: app.code() }), 200);
  });
});

describe('signing up with an account that has a factor', () => {
  test('takes the code as signing in does', async () => {
    const ada = await enrolled(service, api);
    const { email, password } = ada.signUp;
    const signUp = someSignUp({ email, password });
    await changingNothing(service.db, async () => {
      expectProblem(await api.create(signUp), 401, 'mfa_required');
      const wrong = { ...signUp, code: ada.app.wrongCode() };
      expectProblem(await api.create(wrong), 401, 'invalid_code');
      const wrongPassword = { ...signUp, password: 'not the password', code: ada.app.code() };
      expectProblem(await api.create(wrongPassword), 409, 'email_taken');
    });
    const code = ada.app.code();
    expectStatus(await api.create({ ...signUp, code }), 201);
    const replayed = { ...someSignUp({ email, password }), code };
    expectProblem(await api.create(replayed), 401, 'invalid_code');
  });

  test('asked for a code, the same Idempotency-Key is good for the request with it', async () => {
    const ada = await enrolled(service, api);
    const { email, password } = ada.signUp;
    const signUp = someSignUp({ email, password });
    const key = { headers: { 'idempotency-key': `key-${signUp.organization_name.slice(-8)}` } };
    expectProblem(await api.create(signUp, key), 401, 'mfa_required');
    const withCode = { ...signUp, code: ada.app.code() };
    const created = expectStatus(await api.create(withCode, key), 201).json();
    // The code is used up, and still the answer is the first one's.
    expect(expectStatus(await api.create(withCode, key), 201).json()).toEqual(created);
  });

  test('a code for a new account means nothing', async () => {
    const signUp = someSignUp();
    expectStatus(await api.create({ ...signUp, code: '123456' }), 201);
    const { email, password } = signUp;
    expectStatus(await api.login({ email, password, code: 'anything at all' }), 200);
  });
});

describe('a new password', () => {
  test('takes a code beside the present one, if there is a factor', async () => {
    const ada = await enrolled(service, api);
    const { email, password: current_password } = ada.signUp;
    const change = { password: 'another battery staple', current_password };
    const options = bearer(ada.tokens);
    const code = ada.app.code();
    await changingNothing(service.db, async () => {
      for (const [body, errorCode, path] of [
        [change, 'mfa_required', '/code'],
        [{ ...change, code: '' }, 'mfa_required', '/code'],
        [{ ...change, code: ada.app.wrongCode() }, 'invalid_code', '/code'],
        [{ ...change, current_password: 'wrong', code }, 'validation_failed', '/current_password'],
      ] as const) {
        const problem = expectProblem(await api.changeMe(body, options), 422, errorCode);
        expect(problem.errors?.map((error) => error.path)).toEqual([path]);
      }
    });
    const changed = expectStatus(await api.changeMe({ ...change, code }, options), 200).json();
    expect(changed.mfa).toEqual({ totp: true, recovery_codes_left: 10 });
    const login = { email, password: change.password };
    expectProblem(await api.login({ ...login, code }), 401, 'invalid_code');
    expectStatus(await api.login({ ...login, code: ada.recoveryCodes[0] }), 200);
  });

  test('is the only change that takes one', async () => {
    const ada = await enrolled(service, api);
    await changingNothing(service.db, async () => {
      const change = { name: 'Ada', code: ada.app.code() };
      const refused = await api.changeMe(change, bearer(ada.tokens));
      const problem = expectProblem(refused, 422, 'validation_failed');
      expect(problem.errors).toEqual([
        { path: '/code', message: 'is only needed with a new password or e-mail address' },
      ]);
    });
  });

  test('takes none otherwise', async () => {
    const ada = await signUpAndIn(service);
    const { password: current_password } = ada.signUp;
    const change = { password: 'another battery staple', current_password, code: '123456' };
    expectStatus(await api.changeMe(change, bearer(ada.tokens)), 200);
  });
});

describe('new credentials through an update of the organization', () => {
  test('take the present password and a code, if there is a factor', async () => {
    const ada = await enrolled(service, api);
    const { email, password: current_password } = ada.signUp;
    const options = bearer(ada.tokens);
    const password = 'another battery staple';
    const proof = { current_password, code: ada.app.code() };
    await changingNothing(service.db, async () => {
      for (const [body, errorCode, path] of [
        [{ password }, 'validation_failed', '/current_password'],
        [{ email: `new-${email}`, metadata: { a: 1 } }, 'validation_failed', '/current_password'],
        [{ password, code: proof.code }, 'validation_failed', '/current_password'],
        [{ password, current_password }, 'mfa_required', '/code'],
        [{ password, ...proof, code: ada.app.wrongCode() }, 'invalid_code', '/code'],
        [{ password, ...proof, current_password: 'no' }, 'validation_failed', '/current_password'],
        [{ metadata: {}, ...proof }, 'validation_failed', '/current_password'],
        [{ metadata: {}, code: proof.code }, 'validation_failed', '/code'],
      ] as const) {
        const problem = expectProblem(await api.update(body, options), 422, errorCode);
        expect(problem.errors?.map((error) => error.path)).toEqual([path]);
      }
    });
    expectStatus(await api.update({ password, ...proof }, options), 200);
    expectStatus(await api.login({ email, password, code: ada.recoveryCodes[0] }), 200);
  });

  test('take a token alone otherwise, as in the original; a proof that is given has to be right', async () => {
    const ada = await signUpAndIn(service);
    const options = bearer(ada.tokens);
    const { password: current_password } = ada.signUp;
    const wrong = { password: 'another battery staple', current_password: 'wrong' };
    expectProblem(await api.update(wrong, options), 422, 'validation_failed');
    expectStatus(await api.update({ ...wrong, current_password }, options), 200);
    expectStatus(await api.update({ password: 'yet another staple' }, options), 200);
  });
});

test('deleting the account erases its factor', async () => {
  const ada = await enrolled(service, api);
  expectStatus(await api.remove(bearer(ada.tokens)), 200);
  const admins = service.db.collection('admins');
  expect(await admins.findOne({ email: ada.signUp.email })).toBeNull();
  const { email, password } = ada.signUp;
  const again = await signUpAndIn(service, { email, password });
  expect(await statusOf(again)).toEqual({ totp: false, recovery_codes_left: 0 });
});

test('every member has a factor of their own, and no role is needed for it', async () => {
  const ada = await signUpAndIn(service);
  const organization_id = new ObjectId(ada.organization.id);
  const memberships = service.db.collection('memberships');
  await memberships.updateOne({ organization_id }, { $set: { role: 'viewer' } });
  const app = await begin(ada);
  expectStatus(await confirm(ada, { code: app.code() }), 200);
  await memberships.updateOne({ organization_id }, { $set: { role: 'owner' } });
});
