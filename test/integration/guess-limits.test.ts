import { MongoTopologyClosedError } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PasswordQueueFullError } from '../../src/admins/password-hasher.ts';
import { expectProblem, tally } from '../support/api.ts';
import { guessingAt, sharing, someAddress, WRONG_PASSWORD } from '../support/guessing.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import { limitsIn, post, retryAfter } from '../support/limits.ts';
import {
  expectStatus,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ settings: { rateLimits: true } });
});
afterAll(() => service[Symbol.asyncDispose]());
// The counts of one test, the sign-ups from the tests' own address above all, are not another's.
beforeEach(async () => {
  await service.db.collection('rate_limits').deleteMany({});
});

const { login, guess, guessTimes, somebody } = guessingAt(() => service);

describe('an account from one address', () => {
  test('is blocked after ten failures, for longer each time, up to a quarter of an hour', async () => {
    const person = await somebody();
    const address = someAddress();
    await guessTimes(10, person, address);
    for (const minutes of [1, 2, 4, 8, 15, 15, 15]) {
      const refused = await guess(person, address);
      expectProblem(refused, 429, 'too_many_attempts');
      expect(retryAfter(refused)).toBe(minutes * 60);
      service.clock.advance(minutes * MINUTE_MS);
      await guessTimes(1, person, address);
    }
  });

  test('trying while it is blocked makes it no longer', async () => {
    const person = await somebody();
    const address = someAddress();
    await guessTimes(10, person, address);
    for (let second = 0; second < 60; second += 10) {
      expect(retryAfter(await guess(person, address))).toBe(60 - second);
      service.clock.advance(10_000);
    }
    expectStatus(await login(person, address), 200);
  });

  test('is not told that the password is right while it is blocked', async () => {
    const person = await somebody();
    const address = someAddress();
    await guessTimes(10, person, address);
    const [right, wrong] = [await login(person, address), await guess(person, address)];
    const { request_id: _, ...ofRight } = expectProblem(right, 429, 'too_many_attempts');
    const { request_id: __, ...ofWrong } = expectProblem(wrong, 429, 'too_many_attempts');
    expect(ofRight).toEqual(ofWrong);
    expect(retryAfter(right)).toBe(retryAfter(wrong));
  });

  test('starts again with a success, and the growth as well', async () => {
    const person = await somebody();
    const address = someAddress();
    await guessTimes(10, person, address);
    service.clock.advance(MINUTE_MS);
    await guessTimes(1, person, address);
    service.clock.advance(2 * MINUTE_MS);
    expectStatus(await login(person, address), 200);
    await guessTimes(10, person, address);
    expect(retryAfter(await guess(person, address))).toBe(60);
  });

  test('is forgotten after a day without attempts', async () => {
    const person = await somebody();
    const address = someAddress();
    await guessTimes(9, person, address);
    service.clock.advance(DAY_MS);
    await guessTimes(10, person, address);
    expect((await guess(person, address)).statusCode).toBe(429);
  });

  test('leaves other addresses and other accounts alone', async () => {
    const [person, other] = [await somebody(), await somebody()];
    const address = someAddress();
    await guessTimes(10, person, address);
    expectProblem(await login(person, address), 429, 'too_many_attempts');
    expectStatus(await login(person, someAddress()), 200);
    expectStatus(await login(other, address), 200);
    // In any spelling it is the same account.
    const shouted = { ...person, email: ` ${person.email.toUpperCase()} `.trim() };
    expectProblem(await login(shouted, address), 429, 'too_many_attempts');
  });

  test('is one account, whichever operation compares the password', async () => {
    const { signUp: person, auth } = await signUpAndIn(service);
    const address = someAddress();
    const create = (password: string) =>
      post(service, '/org/create', someSignUp({ email: person.email, password }), address);
    const change = (current_password: string) =>
      service.app.inject({
        ...{ method: 'PATCH', url: '/admin/me', headers: auth, remoteAddress: address },
        payload: { password: 'another good password, long', current_password },
      });
    for (let n = 0; n < 3; n += 1) {
      expectProblem(await create(WRONG_PASSWORD), 409, 'email_taken');
      expect((await change(WRONG_PASSWORD)).statusCode).toBe(422);
      await guessTimes(1, person, address);
    }
    await guessTimes(1, person, address);
    expectProblem(await create(person.password), 429, 'too_many_attempts');
    expectProblem(await change(person.password), 429, 'too_many_attempts');
    expectProblem(await login(person, address), 429, 'too_many_attempts');
  });

  test('of IPv6 is its network of 64 bits', async () => {
    const person = await somebody();
    for (let n = 0; n < 10; n += 1) await guessTimes(1, person, `2001:db8:0:1::${n.toString(16)}`);
    expectProblem(
      await login(person, '2001:db8:0:1:ffff:ffff:ffff:ffff'),
      429,
      'too_many_attempts',
    );
    expectStatus(await login(person, '2001:db8:0:2::1'), 200);
  });
});

describe('many at once', () => {
  test('50 wrong guesses over two instances: ten are compared', async () => {
    const person = await somebody();
    const address = someAddress();
    await using other = await startTestService(sharing(service));
    const burst = async () => {
      const instances = Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? service : other));
      return tally(await Promise.all(instances.map((one) => guess(person, address, one))));
    };
    expect(await burst()).toEqual({ '401 invalid_credentials': 10, '429 too_many_attempts': 40 });
    // When the block is over, one more; not one for each that waited.
    service.clock.advance(MINUTE_MS);
    expect(await burst()).toEqual({ '401 invalid_credentials': 1, '429 too_many_attempts': 49 });
  });

  test('30 with the right password are all let in', async () => {
    const person = await somebody();
    const address = someAddress();
    const all = Array.from({ length: 30 }, () => login(person, address));
    expect(tally(await Promise.all(all))).toEqual({ '200': 30 });
  });
});

describe('the headers', () => {
  test('say what is left, on successes and refusals alike', async () => {
    const [person, address] = [await somebody(), someAddress()];
    const policies = {
      guesses: { q: 10 },
      'guesses-address': { q: 100, w: 900 },
      'guesses-account': { q: 30, w: 900 },
    };
    const success = await login(person, address);
    expect(limitsIn(success, 'ratelimit-policy')).toEqual(policies);
    expect(limitsIn(success, 'ratelimit')).toEqual({
      guesses: { r: 10 },
      'guesses-address': { r: 100 },
    });
    const failure = await guess(person, address);
    expect(limitsIn(failure, 'ratelimit-policy')).toEqual(policies);
    expect(limitsIn(failure, 'ratelimit')).toEqual({
      guesses: { r: 9, t: 86_400 },
      'guesses-address': { r: 99, t: 900 },
    });
    await guessTimes(9, person, address);
    const refused = await login(person, address);
    expect(limitsIn(refused, 'ratelimit')).toEqual({ guesses: { r: 0, t: 60 } });
    const invalid = await post(service, '/admin/login', {}, address);
    expectProblem(invalid, 422, 'validation_failed');
    expect(limitsIn(invalid, 'ratelimit-policy')).toEqual(policies);
  });
});

describe('what is not a wrong guess', () => {
  test('a queue that is full uses up no attempt', async () => {
    const person = await somebody();
    const address = someAddress();
    await guessTimes(9, person, address);
    for (let n = 0; n < 15; n += 1) {
      const shed = service.services.guesses.guard(
        { email: person.email, address },
        () => Promise.reject(new PasswordQueueFullError()),
        () => false,
      );
      await expect(shed).rejects.toThrow(PasswordQueueFullError);
    }
    await guessTimes(1, person, address);
    expectProblem(await login(person, address), 429, 'too_many_attempts');
  });

  test.each(['findOneAndUpdate', 'toArray', 'findOne', 'updateOne', 'deleteOne'])(
    'a database that goes away at %s is a 503',
    async (gone) => {
      const person = await somebody();
      const address = someAddress();
      let away = false;
      await using failing = await startTestService({
        ...sharing(service),
        clientView: (client) =>
          interceptCalls(client, async (call, method) => {
            if (away && method === gone) throw new MongoTopologyClosedError();
            return call();
          }),
      });
      away = true;
      expectProblem(await login(person, address, failing), 503, 'database_unavailable');
      away = false;
      expectStatus(await login(person, address, failing), 200);
    },
  );
});

describe('a count whose answer was lost', () => {
  test('is made again without counting twice', async () => {
    const person = await somebody();
    const address = someAddress();
    let lost = 0;
    await using losing = await startTestService({
      ...sharing(service),
      clientView: (client) =>
        interceptCalls(client, async (call, method) => {
          const answer = await call();
          if (method !== 'findOneAndUpdate' || ++lost % 2 === 0) return answer;
          throw Object.assign(new Error('reset'), { code: 'ECONNRESET' });
        }),
    });
    const answers = [];
    for (let n = 0; n < 11; n += 1) answers.push(await guess(person, address, losing));
    expect(tally(answers)).toEqual({ '401 invalid_credentials': 10, '429 too_many_attempts': 1 });
    expect(limitsIn(answers[9] as never, 'ratelimit')['guesses-address']).toMatchObject({ r: 90 });
    expect(lost).toBeGreaterThan(40);
  });
});

describe('RATE_LIMITS=off', () => {
  test('lets everything through, and says nothing of limits', async () => {
    await using open = await startTestService();
    const { email, password } = (await signUpAndIn(open)).signUp;
    for (let n = 0; n < 15; n += 1) {
      const response = await post(
        open,
        '/admin/login',
        { email, password: WRONG_PASSWORD },
        '192.0.2.1',
      );
      expectProblem(response, 401, 'invalid_credentials');
      expect(response.headers).not.toHaveProperty('ratelimit');
      expect(response.headers).not.toHaveProperty('ratelimit-policy');
    }
    expectStatus(await post(open, '/admin/login', { email, password }, '192.0.2.1'), 200);
    expect(await open.db.collection('rate_limits').countDocuments()).toBe(0);
  });
});
