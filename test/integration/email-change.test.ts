import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MailRefusedError, MailUnavailableError } from '../../src/mail/mail-errors.ts';
import { changeMe, confirmEmail, me } from '../support/account-links.ts';
import { apiOf, expectProblem, pathsOf, tally } from '../support/api.ts';
import { enrolled } from '../support/authenticator.ts';
import { changingNothing, contradictions, placesNaming } from '../support/database-truth.ts';
import { authOf, somebodyNew } from '../support/invitations.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const DAY_MS = 24 * 3_600_000;
const NEXT = 'an entirely different passphrase';

let service: TestService;
let second: TestService;
beforeAll(async () => {
  service = await startTestService();
  const { masterDatabase: database } = service.settings;
  second = await startTestService({ database, clock: service.clock, mailer: service.mails });
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await second[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const login = (email: string, password: string) => apiOf(service).login({ email, password });

function ask({ auth, signUp }: SignedUp, email: string, rest: object = {}) {
  return changeMe(service, auth, { email, current_password: signUp.password, ...rest });
}

/** Asks for another address, and takes the token out of the mail. */
async function confirmationFor(who: SignedUp, email: string): Promise<string> {
  expectStatus(await ask(who, email), 200);
  return tokenIn(service.mails.to(email));
}

async function kindsTo(email: string): Promise<string[]> {
  await Promise.all([service, second].map((one) => one.services.mailTasks.idle()));
  return service.mails.to(email).map(({ kind }) => kind);
}

describe('another e-mail address', () => {
  test('counts when it has been confirmed; the old one is told', async () => {
    const acme = await signUpAndIn(service);
    const { email: old, password } = acme.signUp;
    const email = somebodyNew();
    const asked = expectStatus(await ask(acme, email.toUpperCase()), 200).json();
    expect(asked).toMatchObject({ email: old, pending_email: email });
    expect(expectStatus(await me(second, acme.auth), 200).json().pending_email).toBe(email);
    expectProblem(await login(email, password), 401, 'invalid_credentials');
    const token = tokenIn(service.mails.to(email));
    expect(expectStatus(await confirmEmail(service, { token }), 204).body).toBe('');
    const now = expectStatus(await me(service, acme.auth), 200).json();
    expect(now).toMatchObject({ email, pending_email: null });
    expectProblem(await login(old, password), 401, 'invalid_credentials');
    expectStatus(await login(email, password), 200);
    expect(await kindsTo(old)).toEqual(['email_changed']);
    expect(await kindsTo(email)).toEqual(['email_confirmation']);
  });

  test('is confirmed once', async () => {
    const acme = await signUpAndIn(service);
    const token = await confirmationFor(acme, somebodyNew());
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, n) => confirmEmail(n % 2 ? service : second, { token })),
    );
    expect(tally(responses)).toEqual({ '204': 1, '422 email_token_invalid': 19 });
  });

  test('can be confirmed for a day, and shows as pending no longer', async () => {
    const acme = await signUpAndIn(service);
    const { email: address, password } = acme.signUp;
    const token = await confirmationFor(acme, somebodyNew());
    service.clock.advance(DAY_MS);
    expectProblem(await confirmEmail(service, { token }), 422, 'email_token_invalid');
    const again = authOf(expectStatus(await login(address, password), 200).json());
    expect((await me(service, again)).json().pending_email).toBeNull();
    const fresh = await confirmationFor({ ...acme, auth: again }, somebodyNew());
    service.clock.advance(DAY_MS - 1);
    expectStatus(await confirmEmail(service, { token: fresh }), 204);
  });

  test('takes the place of the one asked for before; the present one withdraws it', async () => {
    const acme = await signUpAndIn(service);
    const [first, next] = [somebodyNew(), somebodyNew()];
    const before = await confirmationFor(acme, first);
    const latest = await confirmationFor(acme, next);
    expectProblem(await confirmEmail(service, { token: before }), 422, 'email_token_invalid');
    expect((await me(service, acme.auth)).json().pending_email).toBe(next);
    const withdrawn = expectStatus(await ask(acme, acme.signUp.email), 200).json();
    expect(withdrawn.pending_email).toBeNull();
    expectProblem(await confirmEmail(service, { token: latest }), 422, 'email_token_invalid');
    expect(await kindsTo(acme.signUp.email)).toEqual([]);
  });

  test('needs the present password, and the second factor', async () => {
    const acme = await signUpAndIn(service);
    const email = somebodyNew();
    await changingNothing(service.db, async () => {
      for (const body of [{ email }, { email, current_password: 'wrong' }])
        expect(
          pathsOf(
            expectProblem(await changeMe(service, acme.auth, body), 422, 'validation_failed'),
          ),
        ).toEqual(['/current_password']);
    });
    const person = await enrolled(service, apiOf(service));
    const problem = await ask(person, email);
    expect(pathsOf(expectProblem(problem, 422, 'mfa_required'))).toEqual(['/code']);
    expectStatus(await ask(person, email, { code: person.app.code() }), 200);
  });

  test('is dead after another change of password or address', async () => {
    const acme = await signUpAndIn(service);
    const token = await confirmationFor(acme, somebodyNew());
    const headers = acme.auth;
    expectStatus(await apiOf(service).update({ email: somebodyNew() }, { headers }), 200);
    expectProblem(await confirmEmail(service, { token }), 422, 'email_token_invalid');
    expect((await me(service, acme.auth)).json().pending_email).toBeNull();
  });

  test('can be asked for together with another password and name', async () => {
    const acme = await signUpAndIn(service);
    const { email: old } = acme.signUp;
    const email = somebodyNew();
    const answer = expectStatus(await ask(acme, email, { password: NEXT, name: 'Ada' }), 200);
    expect(answer.json()).toMatchObject({ email: old, pending_email: email, name: 'Ada' });
    expectStatus(await login(old, NEXT), 200);
    const token = tokenIn(service.mails.to(email));
    expectStatus(await confirmEmail(service, { token }), 204);
    expectStatus(await login(email, NEXT), 200);
    expect((await kindsTo(old)).sort()).toEqual(['email_changed', 'password_changed']);
  });

  test.each([
    [new MailUnavailableError(new Error('away')), 503, 'mail_unavailable'],
    [new MailRefusedError(new Error('no such mailbox')), 422, 'mail_refused'],
  ] as const)('whose mail cannot be sent changes nothing: %s', async (failure, status, code) => {
    const acme = await signUpAndIn(service);
    service.mails.failure = failure;
    try {
      await changingNothing(service.db, async () => {
        const rest = { password: NEXT, name: 'Ada' };
        expectProblem(await ask(acme, somebodyNew(), rest), status, code);
      });
    } finally {
      service.mails.failure = undefined;
    }
    expectStatus(await login(acme.signUp.email, acme.signUp.password), 200);
  });
});

describe('an address that has an account', () => {
  test('is told so, and nobody else', async () => {
    const [acme, globex] = [await signUpAndIn(service), await signUpAndIn(service)];
    const { email: taken } = globex.signUp;
    const free = somebodyNew();
    const answers = [];
    for (const email of [taken, free]) {
      const { statusCode, headers, body } = await ask(acme, email);
      const { 'x-request-id': _, 'content-length': __, ...rest } = headers;
      answers.push({ statusCode, rest, body: body.replaceAll(email, 'the address') });
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(await kindsTo(taken)).toEqual(['email_in_use']);
    expect(service.mails.to(taken)[0]?.text).not.toContain('#token=');
    expect(await kindsTo(free)).toEqual(['email_confirmation']);
  });

  test('by the time of the confirmation is refused, by the index', async () => {
    const acme = await signUpAndIn(service);
    const email = somebodyNew();
    const token = await confirmationFor(acme, email);
    await signUpAndIn(service, { email });
    await changingNothing(service.db, async () => {
      expectProblem(await confirmEmail(service, { token }), 409, 'email_taken');
    });
    expect(await kindsTo(acme.signUp.email)).toEqual([]);
  });

  test('although two people confirm it at once: one has it', async () => {
    for (let round = 0; round < 5; round += 1) {
      const people = [await signUpAndIn(service), await signUpAndIn(service)] as const;
      const email = somebodyNew();
      const tokens = [
        await confirmationFor(people[0], email),
        await confirmationFor(people[1], email),
      ];
      const answers = await Promise.all(
        tokens.map((token, n) => confirmEmail(n === 0 ? service : second, { token })),
      );
      expect(tally(answers)).toEqual({ '204': 1, '409 email_taken': 1 });
    }
  });
});

describe('a change of what somebody signs in with is told at the address before', () => {
  const update = (who: SignedUp, body: object) =>
    apiOf(service).update(body, { headers: who.auth });

  test.each([{}, { organization_name: true }])(
    'by PUT /org/update, with a rename or without: %j',
    async ({ organization_name }) => {
      const acme = await signUpAndIn(service);
      const { email: old, password } = acme.signUp;
      const rename = organization_name ? { organization_name: `${somebodyNew()} Inc` } : {};
      const email = somebodyNew();
      expectStatus(await update(acme, { ...rename, email, password: NEXT }), 200);
      expect((await kindsTo(old)).sort()).toEqual(['email_changed', 'password_changed']);
      expect(await kindsTo(email)).toEqual([]);
      // As it was: nothing worth telling.
      expectStatus(await update(acme, { ...rename, email }), 200);
      expect(await kindsTo(email)).toEqual([]);
      expectProblem(await login(old, password), 401, 'invalid_credentials');
    },
  );

  test('by PATCH /admin/me', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const both = { password: NEXT, current_password: password };
    expectStatus(await changeMe(service, acme.auth, both), 200);
    expect(await kindsTo(email)).toEqual(['password_changed']);
  });

  test('but not one that was refused', async () => {
    const [acme, globex] = [await signUpAndIn(service), await signUpAndIn(service)];
    const { email } = acme.signUp;
    const taken = { email: globex.signUp.email, password: NEXT };
    expectProblem(await update(acme, taken), 409, 'email_taken');
    expect(await kindsTo(email)).toEqual([]);
  });
});

test('a new password for PATCH /admin/me has to be one that may be chosen', async () => {
  const acme = await signUpAndIn(service);
  const { email, password, organization_name } = acme.signUp;
  await changingNothing(service.db, async () => {
    for (const next of ['password1', email, organization_name]) {
      const both = { password: next, current_password: password };
      const answer = await changeMe(service, acme.auth, both);
      expect(pathsOf(expectProblem(answer, 422, 'password_too_common'))).toEqual(['/password']);
    }
  });
});

test('the token is in the mail alone', async () => {
  const acme = await signUpAndIn(service);
  const token = await confirmationFor(acme, somebodyNew());
  expect(await placesNaming(service.db, token)).toEqual([]);
});

test('an account that is removed takes its links with it', async () => {
  const acme = await signUpAndIn(service);
  const email = somebodyNew();
  const token = await confirmationFor(acme, email);
  expectStatus(await apiOf(service).remove({ headers: acme.auth }), 200);
  expectProblem(await confirmEmail(service, { token }), 422, 'email_token_invalid');
  expect(await placesNaming(service.db, email)).toEqual([]);
});

test('another address can be asked for only so often; a name is no part of it', async () => {
  await using limited = await startTestService({ settings: { rateLimits: true } });
  const acme = await signUpAndIn(limited);
  const { password: current_password } = acme.signUp;
  const asked = [];
  for (let n = 0; n < 6; n += 1)
    asked.push(await changeMe(limited, acme.auth, { email: somebodyNew(), current_password }));
  expect(tally(asked)).toEqual({ '200': 5, '429 rate_limit_exceeded': 1 });
  expect(String(asked[0]?.headers['ratelimit-policy'])).toContain('"email-change"');
  expectStatus(await changeMe(limited, acme.auth, { name: 'Ada' }), 200);
});

describe('bad input', () => {
  test.each([
    [{ email: 'x' }, ['/email']],
    [{ email: { $gt: '' } }, ['/email']],
    [{ email: null }, ['/email']],
    [{ email: '' }, ['/email']],
    [{ email: 'a@b.example\nx' }, ['/email']],
    [{ pending_email: 'a@b.example' }, ['/pending_email']],
  ])('a change %j', async (body, paths) => {
    const acme = await signUpAndIn(service);
    await changingNothing(service.db, async () => {
      const both = { current_password: acme.signUp.password, ...body };
      const problem = expectProblem(
        await changeMe(service, acme.auth, both),
        422,
        'validation_failed',
      );
      expect(pathsOf(problem)).toEqual(paths);
    });
  });

  test.each([
    [{}, '/token'],
    [{ token: '' }, '/token'],
    [{ token: { $ne: '' } }, '/token'],
    [{ token: null }, '/token'],
    [{ token: 'x'.repeat(129) }, '/token'],
    [{ token: 'x', email: 'a@b.example' }, '/email'],
  ])('a confirmation %j', async (body, path) => {
    await changingNothing(service.db, async () => {
      const problem = expectProblem(await confirmEmail(service, body), 422, 'validation_failed');
      expect(pathsOf(problem)).toEqual([path]);
    });
  });
});
