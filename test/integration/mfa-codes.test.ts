import type { LightMyRequestResponse } from 'fastify';
import { MongoNetworkError } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem, tally } from '../support/api.ts';
import { Authenticator, type Enrolled, enrolled, STEP_MS } from '../support/authenticator.ts';
import { changingNothing } from '../support/database-truth.ts';
import { type AroundCall, interceptCalls } from '../support/intercepted-client.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const RACERS = 20;

let service: TestService;
let second: TestService;
let api: Api;
/** Requests go to two instances in turn. */
let both: Api;
beforeAll(async () => {
  service = await startTestService();
  second = await startTestService({
    database: service.settings.masterDatabase,
    clock: service.clock,
  });
  api = apiOf(service);
  both = apiOf(service, second);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

function login({ signUp: { email, password } }: Enrolled, code: string | undefined, to = api) {
  return to.login({ email, password, ...(code !== undefined && { code }) });
}

function race(act: (n: number) => Promise<LightMyRequestResponse>) {
  return Promise.all(Array.from({ length: RACERS }, (_, n) => act(n)));
}

async function factorOf({ signUp }: Enrolled) {
  return (await service.db.collection('admins').findOne({ email: signUp.email }))?.totp;
}

describe('a code of the app', () => {
  test('is good once', async () => {
    const ada = await enrolled(service, api);
    const code = ada.app.code();
    expectStatus(await login(ada, code), 200);
    await changingNothing(service.db, async () => {
      expectProblem(await login(ada, code), 401, 'invalid_code');
      expectProblem(await login(ada, code, both), 401, 'invalid_code');
    });
  });

  test('is good in its own step, and one step early and late', async () => {
    const ada = await enrolled(service, api);
    service.clock.advance(10 * STEP_MS);
    for (const steps of [-5, -2, 2, 5])
      expectProblem(await login(ada, ada.app.code(steps)), 401, 'invalid_code');
    for (const steps of [-1, 0, 1]) expectStatus(await login(ada, ada.app.code(steps)), 200);
  });

  test('is not good any more once a later one was used', async () => {
    const ada = await enrolled(service, api);
    service.clock.advance(10 * STEP_MS);
    expectStatus(await login(ada, ada.app.code(1)), 200);
    for (const steps of [-1, 0, 1])
      expectProblem(await login(ada, ada.app.code(steps)), 401, 'invalid_code');
    service.clock.advance(STEP_MS);
    expectProblem(await login(ada, ada.app.code(0)), 401, 'invalid_code');
    expectStatus(await login(ada, ada.app.code(1)), 200);
  });

  test('is refused again when the clock is set back', async () => {
    const ada = await enrolled(service, api);
    expectStatus(await login(ada, ada.app.code()), 200);
    service.clock.advance(-STEP_MS);
    for (const steps of [-1, 0, 1])
      expectProblem(await login(ada, ada.app.code(steps)), 401, 'invalid_code');
    service.clock.advance(2 * STEP_MS);
    expectStatus(await login(ada, ada.app.code()), 200);
  });

  test('is taken with a space in the middle, as apps show it', async () => {
    const ada = await enrolled(service, api);
    const code = ada.app.code();
    expectStatus(await login(ada, ` ${code.slice(0, 3)} ${code.slice(3)} `), 200);
  });

  test(`signs in one of ${RACERS} who send it at once`, async () => {
    const ada = await enrolled(service, api);
    const code = ada.app.code();
    expect(tally(await race(() => login(ada, code, both)))).toEqual({
      200: 1,
      '401 invalid_code': RACERS - 1,
    });
  });
});

describe('a recovery code', () => {
  test('is good once, in any spelling', async () => {
    const ada = await enrolled(service, api);
    const [first = '', other = ''] = ada.recoveryCodes;
    expectStatus(await login(ada, first.replaceAll('-', ' ').toLowerCase()), 200);
    for (const code of [first, first.replaceAll('-', ''), first.toLowerCase()])
      expectProblem(await login(ada, code), 401, 'invalid_code');
    expectStatus(await login(ada, other.replaceAll('0', 'o').replaceAll('1', 'l')), 200);
  });

  test('all ten work, in any order, and then none is left', async () => {
    const ada = await enrolled(service, api);
    for (const code of ada.recoveryCodes.toReversed()) expectStatus(await login(ada, code), 200);
    expect((await factorOf(ada)).recovery_codes).toEqual([]);
    for (const code of ada.recoveryCodes)
      expectProblem(await login(ada, code), 401, 'invalid_code');
    expectStatus(await login(ada, ada.app.code()), 200);
  });

  test(`signs in one of ${RACERS} who send it at once`, async () => {
    const ada = await enrolled(service, api);
    const [code] = ada.recoveryCodes;
    expect(tally(await race(() => login(ada, code, both)))).toEqual({
      200: 1,
      '401 invalid_code': RACERS - 1,
    });
    expect((await factorOf(ada)).recovery_codes).toHaveLength(9);
  });

  test('used at once, all ten work', async () => {
    const ada = await enrolled(service, api);
    const answers = await Promise.all(ada.recoveryCodes.map((code) => login(ada, code, both)));
    expect(tally(answers)).toEqual({ 200: 10 });
    expect((await factorOf(ada)).recovery_codes).toEqual([]);
  });
});

describe('what a code is not good for', () => {
  test("somebody else's account", async () => {
    const [ada, bob] = [await enrolled(service, api), await enrolled(service, api)];
    await changingNothing(service.db, async () => {
      for (const code of [bob.app.code(), bob.recoveryCodes[0]])
        expectProblem(await login(ada, code), 401, 'invalid_code');
    });
    expectStatus(await login(bob, bob.app.code()), 200);
    expectStatus(await login(bob, bob.recoveryCodes[0]), 200);
  });

  test('a wrong password, which says nothing of a factor and uses no code up', async () => {
    const ada = await enrolled(service, api);
    const { email } = ada.signUp;
    await changingNothing(service.db, async () => {
      for (const code of [undefined, ada.app.code(), ada.recoveryCodes[0], 'x']) {
        const body = { email, password: 'wrong', ...(code !== undefined && { code }) };
        expectProblem(await api.login(body), 401, 'invalid_credentials');
      }
    });
    expectStatus(await login(ada, ada.app.code()), 200);
    expectStatus(await login(ada, ada.recoveryCodes[0]), 200);
  });

  test('anything, when it is none', async () => {
    const ada = await enrolled(service, api);
    const right = ada.app.code();
    const [recovery = ''] = ada.recoveryCodes;
    await changingNothing(service.db, async () => {
      for (const code of [undefined, '', ' ', '\t'])
        expectProblem(await login(ada, code), 401, 'mfa_required');
      for (const code of [
        ...[ada.app.wrongCode(), `${right}0`, right.slice(1), `${right}x`, `0x${right}`],
        ...[recovery.slice(1), `${recovery}0`, `${recovery.slice(0, -1)}U`, '0'.repeat(24)],
        ...['-', '$ne', '[object Object]', 'null', '🔑', '\u202e123456', 'x'.repeat(64)],
      ])
        expectProblem(await login(ada, code), 401, 'invalid_code');
    });
    expectStatus(await login(ada, right), 200);
  });
});

describe('several at once', () => {
  test('confirming: one gets recovery codes, and they work', async () => {
    const ada = await signUpAndIn(service);
    const body = { current_password: ada.signUp.password };
    const begun = expectStatus(await api.beginTotp(body, bearer(ada.tokens)), 200).json();
    const app = new Authenticator(begun.otpauth_uri, service.clock);
    const code = app.code();
    // Fewer than there are attempts, which are no part of this.
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => both.confirmTotp({ code }, bearer(ada.tokens))),
    );
    expect(tally(answers)).toEqual({ 200: 1, '409 mfa_already_enabled': 7 });
    const confirmed = answers.find(({ statusCode }) => statusCode === 200);
    const recoveryCodes: string[] = confirmed?.json().recovery_codes;
    const person = { ...ada, app, recoveryCodes };
    for (const one of recoveryCodes) expectStatus(await login(person, one), 200);
  });

  test('beginning and confirming: what is confirmed is what the app has', async () => {
    for (let round = 0; round < 5; round += 1) {
      const ada = await signUpAndIn(service);
      const body = { current_password: ada.signUp.password };
      const options = bearer(ada.tokens);
      const first = expectStatus(await api.beginTotp(body, options), 200).json();
      const app = new Authenticator(first.otpauth_uri, service.clock);
      const [again, confirmed] = await Promise.all([
        both.beginTotp(body, options),
        both.confirmTotp({ code: app.code() }, options),
      ]);
      service.clock.advance(STEP_MS);
      const person = { ...ada, app, recoveryCodes: [] };
      if (confirmed.statusCode === 200) expectStatus(await login(person, app.code()), 200);
      else {
        expectProblem(confirmed, 422, 'invalid_code');
        expectStatus(again, 200);
        expectStatus(await login(person, undefined), 200);
      }
    }
  });

  // The look-ups: three to authenticate, then the account, again for its address, and by it.
  test.each([
    ['findOne', 4],
    ['findOne', 5],
    ['findOne', 6],
    ['updateOne', 1],
  ])('a beginning that is overtaken by a confirmation at %s %i begins nothing', async (at, nth) => {
    const ada = await signUpAndIn(service);
    const options = bearer(ada.tokens);
    const body = { current_password: ada.signUp.password };
    const begun = expectStatus(await api.beginTotp(body, options), 200).json();
    const app = new Authenticator(begun.otpauth_uri, service.clock);
    let left = nth;
    const around: AroundCall = async (call, method) => {
      if (method === at) {
        left -= 1;
        if (left === 0) expectStatus(await api.confirmTotp({ code: app.code() }, options), 200);
      }
      return call();
    };
    await using late = await startTestService({
      database: service.settings.masterDatabase,
      clock: service.clock,
      clientView: (client) => interceptCalls(client, around),
      start: false,
    });
    expectProblem(await apiOf(late).beginTotp(body, options), 409, 'mfa_already_enabled');
    expect(left).toBeLessThanOrEqual(0);
    const admin = await service.db.collection('admins').findOne({ email: ada.signUp.email });
    expect(admin).not.toHaveProperty('totp_pending');
    service.clock.advance(STEP_MS);
    expectStatus(await login({ ...ada, app, recoveryCodes: [] }, app.code()), 200);
  });

  test('removing with each recovery code: the factor is gone, and nobody fails badly', async () => {
    const ada = await enrolled(service, api);
    const { password: current_password } = ada.signUp;
    const answers = await Promise.all(
      ada.recoveryCodes.map((code) =>
        both.removeTotp({ current_password, code }, bearer(ada.tokens)),
      ),
    );
    const counts = tally(answers);
    expect(counts[204]).toBeGreaterThan(0);
    const expected = ['204', '409 mfa_not_enabled', '422 invalid_code'];
    expect(expected).toEqual(expect.arrayContaining(Object.keys(counts)));
    expect(await factorOf(ada)).toBeUndefined();
  });
});

describe('when the connection breaks after the update that uses a code up', () => {
  /** Loses the answer to the next update of the factor. */
  async function losing(): Promise<{ instance: TestService; lose(): void; lost(): boolean }> {
    let armed = false;
    let lost = false;
    const around: AroundCall = async (call, method) => {
      const reply = await call();
      if (!armed || method !== 'updateOne') return reply;
      armed = false;
      lost = true;
      throw new MongoNetworkError('connection 1 to 127.0.0.1 closed');
    };
    const instance = await startTestService({
      database: service.settings.masterDatabase,
      clock: service.clock,
      clientView: (client) => interceptCalls(client, around),
    });
    return {
      instance,
      lose: () => {
        armed = true;
      },
      lost: () => lost,
    };
  }

  test.each(['app', 'recovery'])(
    'a code (%s) is good all the same, and still only once',
    async (kind) => {
      const ada = await enrolled(service, api);
      const code = kind === 'app' ? ada.app.code() : ada.recoveryCodes[0];
      const { instance, lose, lost } = await losing();
      await using _ = instance;
      lose();
      expectStatus(await login(ada, code, apiOf(instance)), 200);
      expect(lost()).toBe(true);
      expectProblem(await login(ada, code), 401, 'invalid_code');
    },
  );

  test('a confirmation gives recovery codes that work', async () => {
    const ada = await signUpAndIn(service);
    const body = { current_password: ada.signUp.password };
    const begun = expectStatus(await api.beginTotp(body, bearer(ada.tokens)), 200).json();
    const app = new Authenticator(begun.otpauth_uri, service.clock);
    const { instance, lose, lost } = await losing();
    await using _ = instance;
    lose();
    const code = app.code();
    const confirmed = await apiOf(instance).confirmTotp({ code }, bearer(ada.tokens));
    const { recovery_codes: recoveryCodes } = expectStatus(confirmed, 200).json();
    expect(lost()).toBe(true);
    expectStatus(await login({ ...ada, app, recoveryCodes }, recoveryCodes[0]), 200);
  });
});
