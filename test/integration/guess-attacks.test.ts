import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AdminDocument } from '../../src/admins/admin-document.ts';
import { expectProblem } from '../support/api.ts';
import { guessingAt, type Person, someAddress } from '../support/guessing.ts';
import { limitsIn, retryAfter } from '../support/limits.ts';
import { expectStatus, startTestService, type TestService } from '../support/test-service.ts';

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

const { login, guess, guessTimes, somebody, attackFromEverywhere } = guessingAt(() => service);

describe('an attack from many addresses', () => {
  test('leaves known devices, however the attack goes on, and nobody else', async () => {
    const person = await somebody();
    const [home, elsewhere] = [someAddress(), someAddress()];
    expectStatus(await login(person, home), 200);
    await attackFromEverywhere(person);
    const refused = await login(person, elsewhere);
    expectProblem(refused, 429, 'too_many_attempts');
    expect(retryAfter(refused)).toBeLessThanOrEqual(15 * 60);
    expectProblem(await guess(person, someAddress()), 429, 'too_many_attempts');
    for (let n = 0; n < 3; n += 1) expectStatus(await login(person, home), 200);
    // A success at home gives the attackers nothing.
    expectProblem(await guess(person, someAddress()), 429, 'too_many_attempts');
    service.clock.advance(15 * MINUTE_MS);
    expectStatus(await login(person, elsewhere), 200);
  });

  test('a device is known for 30 days', async () => {
    const person = await somebody();
    const home = someAddress();
    expectStatus(await login(person, home), 200);
    service.clock.advance(30 * DAY_MS - MINUTE_MS);
    await attackFromEverywhere(person);
    expectStatus(await login(person, home), 200);
    service.clock.advance(29 * DAY_MS);
    await attackFromEverywhere(person);
    expectStatus(await login(person, home), 200);
    service.clock.advance(30 * DAY_MS);
    await attackFromEverywhere(person);
    expectProblem(await login(person, home), 429, 'too_many_attempts');
  });

  test('a known device has no more than ten guesses either', async () => {
    const person = await somebody();
    const home = someAddress();
    expectStatus(await login(person, home), 200);
    await attackFromEverywhere(person);
    await guessTimes(10, person, home);
    expectProblem(await login(person, home), 429, 'too_many_attempts');
  });

  test('somebody who proves who they are by other means is let in from there', async () => {
    const person = await somebody();
    const hotel = someAddress();
    await guessTimes(10, person, hotel);
    await attackFromEverywhere(person, 20);
    expectProblem(await guess(person, someAddress()), 429, 'too_many_attempts');
    expectProblem(await login(person, hotel), 429, 'too_many_attempts');
    await service.services.guesses.forgive(await adminOf(person), hotel);
    expectStatus(await login(person, hotel), 200);
    await attackFromEverywhere(person);
    expectProblem(await login(person, someAddress()), 429, 'too_many_attempts');
    expectStatus(await login(person, hotel), 200);
  });
});

describe('one address against many accounts', () => {
  test('is blocked after 100 failures in a quarter of an hour, and a success resets nothing', async () => {
    const attacker = await somebody();
    const address = someAddress();
    for (let n = 0; n < 100; n += 1) {
      if (n % 20 === 0) expectStatus(await login(attacker, address), 200);
      await guessTimes(1, { email: `victim-${n}@acme.example` }, address);
    }
    const refused = await login(attacker, address);
    expectProblem(refused, 429, 'too_many_attempts');
    expect(retryAfter(refused)).toBe(15 * 60);
    expectStatus(await login(attacker, someAddress()), 200);
    service.clock.advance(15 * MINUTE_MS);
    expectStatus(await login(attacker, address), 200);
  });

  test('many right passwords from one address are no attack', async () => {
    const [person, address] = [await somebody(), someAddress()];
    for (let n = 0; n < 120; n += 1) expectStatus(await login(person, address), 200);
  });
});

describe('an account that does not exist', () => {
  test('answers as one that does, with the same headers, all the way', async () => {
    const sequenceOf = async (person: Pick<Person, 'email'>) => {
      const address = someAddress();
      const seen = [];
      for (let n = 0; n < 13; n += 1) {
        const response = await guess(person, address);
        const { request_id: _, ...problem } = response.json();
        const { 'x-request-id': __, date: ___, ...headers } = response.headers;
        seen.push({ problem, headers });
        if (n === 11) service.clock.advance(MINUTE_MS);
      }
      for (let n = 0; n < 6; n += 1) await guessTimes(3, person, someAddress());
      for (let n = 0; n < 3; n += 1) {
        const response = await guess(person, someAddress());
        seen.push({ status: response.statusCode, limits: limitsIn(response, 'ratelimit') });
      }
      return seen;
    };
    const existing = await sequenceOf(await somebody());
    expect(await sequenceOf({ email: 'nobody-at-all@acme.example' })).toEqual(existing);
    expect(existing).toContainEqual(expect.objectContaining({ status: 429 }));
  });
});

describe('what is stored', () => {
  test('names neither addresses nor people, and goes by itself', async () => {
    const person = await somebody();
    const address = '203.0.113.77';
    expectStatus(await login(person, address), 200);
    await guessTimes(3, person, address);
    const counts = await service.db.collection('rate_limits').find().toArray();
    expect(counts.length).toBeGreaterThan(2);
    const admin = await adminOf(person);
    expect(admin.known_networks).toHaveLength(2);
    const stored = JSON.stringify([counts, admin.known_networks]);
    for (const secret of [person.email, address, '127.0.0.1', admin._id.toHexString()])
      expect(stored).not.toContain(secret);
    for (const count of counts) expect(count.expires_at).toBeInstanceOf(Date);
    const indexes = await service.db.collection('rate_limits').indexes();
    expect(indexes).toContainEqual(
      expect.objectContaining({ key: { expires_at: 1 }, expireAfterSeconds: 0 }),
    );
  });

  test('twenty networks of a person at most, the latest', async () => {
    const person = await somebody();
    const visited = Array.from({ length: 25 }, someAddress);
    for (const address of visited) expectStatus(await login(person, address), 200);
    expect((await adminOf(person)).known_networks).toHaveLength(20);
    await attackFromEverywhere(person);
    expect((await login(person, visited[0] ?? '')).statusCode).toBe(429);
    expect((await login(person, visited[24] ?? '')).statusCode).toBe(200);
  });
});

async function adminOf({ email }: Pick<Person, 'email'>): Promise<AdminDocument> {
  const admin = await service.db.collection<AdminDocument>('admins').findOne({ email });
  if (admin === null) throw new Error('no such account');
  return admin;
}
