import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PasswordHasher } from '../../src/admins/password-hasher.ts';
import { type Api, apiOf, expectProblem, pathsOf } from '../support/api.ts';
import { changingNothing, contradictions } from '../support/database-truth.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

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

/** An account with a password that was accepted before there were such rules. */
async function ownerWith(password: string): Promise<SignedUp> {
  const acme = await signUpAndIn(service);
  const stored = await new PasswordHasher({ cost: 4 }).hash(password);
  await service.db
    .collection('admins')
    .updateOne({ email: acme.signUp.email }, { $set: { password: stored } });
  return { ...acme, signUp: { ...acme.signUp, password } };
}

describe('sign-up', () => {
  test.each(['Password1', '12345678', 'ｐａｓｓｗｏｒｄ'])(
    'with %s is refused',
    async (password) => {
      await changingNothing(service.db, async () => {
        const problem = expectProblem(
          await api.create(someSignUp({ password })),
          422,
          'password_too_common',
        );
        expect(pathsOf(problem)).toEqual(['/password']);
      });
    },
  );

  test('with the e-mail address or the organization’s name as password is refused', async () => {
    await changingNothing(service.db, async () => {
      const { email, organization_name } = someSignUp();
      for (const password of [email.toUpperCase(), email.split('@')[0], organization_name]) {
        const response = await api.create({ email, organization_name, password });
        expect(pathsOf(expectProblem(response, 422, 'password_too_common'))).toEqual(['/password']);
      }
    });
  });

  test('counts characters, not code units, and again after NFKC', async () => {
    const keys = (count: number) => someSignUp({ password: '🔑'.repeat(count) });
    for (const count of [8, 256]) expectStatus(await api.create(keys(count)), 201);
    const grown = someSignUp({ password: 'ﷺ'.repeat(15) });
    const shrunk = someSignUp({ password: 'e\u0301'.repeat(7) });
    for (const signUp of [keys(7), keys(257), grown, shrunk]) {
      const problem = expectProblem(await api.create(signUp), 422, 'validation_failed');
      expect(pathsOf(problem)).toEqual(['/password']);
    }
  });

  test('with an account that exists takes the password it has, however common', async () => {
    const { signUp } = await ownerWith('password1');
    const { email, password } = signUp;
    expectStatus(await api.create(someSignUp({ email, password })), 201);
    const wrong = someSignUp({ email, password: '12345678' });
    expectProblem(await api.create(wrong), 409, 'email_taken');
  });
});

describe('a new password', () => {
  test.each([{}, { organization_name: 'alone' }])(
    'that is common is refused, with a rename or without',
    async (rename) => {
      const acme = await signUpAndIn(service);
      const name = someSignUp().organization_name;
      const more = 'organization_name' in rename ? { organization_name: name } : {};
      await changingNothing(service.db, async () => {
        for (const password of ['password1', acme.signUp.email, acme.signUp.organization_name]) {
          const response = await api.update({ ...more, password }, { headers: acme.auth });
          const problem = expectProblem(response, 422, 'password_too_common');
          expect(pathsOf(problem)).toEqual(['/password']);
        }
      });
    },
  );

  test('may not be the address or the name that comes with it either', async () => {
    const acme = await signUpAndIn(service);
    const { email, organization_name } = someSignUp();
    await changingNothing(service.db, async () => {
      for (const body of [
        { email, password: email },
        { email, password: email.split('@')[0] },
        { organization_name, password: organization_name.toUpperCase() },
      ])
        expectProblem(await api.update(body, { headers: acme.auth }), 422, 'password_too_common');
    });
  });
});

test('an account whose password is common signs in, and may leave it', async () => {
  const acme = await ownerWith('password1');
  expectStatus(await api.login(acme.signUp), 200);
  const password = 'correct horse battery staple';
  expectStatus(await api.update({ password }, { headers: acme.auth }), 200);
  expectStatus(await api.login({ ...acme.signUp, password }), 200);
});
