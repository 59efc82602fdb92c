import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changeMe, confirmEmail, forgot, me, reset } from '../support/account-links.ts';
import { apiOf, expectProblem, pathsOf, tally } from '../support/api.ts';
import { enrolled } from '../support/authenticator.ts';
import { Cluster } from '../support/cluster.ts';
import { changingNothing, contradictions, placesNaming } from '../support/database-truth.ts';
import { WRONG_PASSWORD } from '../support/guessing.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import { accept, anInvitation, authOf, somebodyNew } from '../support/invitations.ts';
import { RecordingMailer, tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const HOUR_MS = 3_600_000;
const NEXT = 'an entirely different passphrase';

let service: TestService;
let second: TestService;
/** What the first instance asked the database, by the driver's method. */
const calls: string[] = [];
beforeAll(async () => {
  service = await startTestService({
    clientView: (client) =>
      interceptCalls(client, (call, method) => {
        calls.push(method);
        return call();
      }),
  });
  const { masterDatabase: database } = service.settings;
  second = await startTestService({ database, clock: service.clock });
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await second[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

/** Asks for a link, and takes the token out of the mail. */
async function resetTokenFor(email: string): Promise<string> {
  expectStatus(await forgot(service, { email }), 202);
  await service.services.mailTasks.idle();
  return tokenIn(service.mails.to(email));
}

describe('a forgotten password', () => {
  test('is replaced by a link, which ends every session and tells the person', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const elsewhere = expectStatus(await apiOf(second).login({ email, password }), 200).json();
    const token = await resetTokenFor(email.toUpperCase().toLowerCase());
    expect(expectStatus(await reset(service, { token, password: NEXT }), 204).body).toBe('');
    for (const auth of [acme.auth, authOf(elsewhere)])
      expectProblem(await me(service, auth), 401, 'invalid_token');
    const refreshed = await apiOf(service).refresh(acme.tokens.refresh_token);
    expectProblem(refreshed, 401, 'invalid_refresh_token');
    expectProblem(await apiOf(service).login({ email, password }), 401, 'invalid_credentials');
    expectStatus(await apiOf(service).login({ email, password: NEXT }), 200);
    await service.services.mailTasks.idle();
    expect(service.mails.to(email).map(({ kind }) => kind)).toEqual([
      'password_reset',
      'password_changed',
    ]);
  });

  test('is replaced once', async () => {
    const { email } = (await signUpAndIn(service)).signUp;
    const token = await resetTokenFor(email);
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        reset(n % 2 === 0 ? service : second, { token, password: `${NEXT} ${n}` }),
      ),
    );
    expect(tally(responses)).toEqual({ '204': 1, '422 reset_token_invalid': 19 });
    const winner = responses.findIndex(({ statusCode }) => statusCode === 204);
    expectStatus(await apiOf(service).login({ email, password: `${NEXT} ${winner}` }), 200);
  });

  test('leaves no session of a sign-in with the old password at the same time', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { email, password } = (await signUpAndIn(service)).signUp;
      const token = await resetTokenFor(email);
      const [done, ...logins] = await Promise.all([
        reset(service, { token, password: NEXT }),
        ...Array.from({ length: 5 }, () => apiOf(second).login({ email, password })),
      ]);
      expectStatus(done, 204);
      for (const login of logins)
        if (login.statusCode === 200)
          expectProblem(await me(second, authOf(login.json())), 401, 'invalid_token');
    }
  });

  test('can be replaced for an hour', async () => {
    const { email } = (await signUpAndIn(service)).signUp;
    const early = await resetTokenFor(email);
    service.clock.advance(HOUR_MS - 1);
    expectStatus(await reset(service, { token: early, password: NEXT }), 204);
    const late = await resetTokenFor(email);
    service.clock.advance(HOUR_MS);
    expectProblem(
      await reset(service, { token: late, password: NEXT }),
      422,
      'reset_token_invalid',
    );
  });

  test('is replaced by the latest link only', async () => {
    const { email } = (await signUpAndIn(service)).signUp;
    const before = await resetTokenFor(email);
    const latest = await resetTokenFor(email);
    const body = { password: NEXT };
    expectProblem(await reset(service, { ...body, token: before }), 422, 'reset_token_invalid');
    expectStatus(await reset(service, { ...body, token: latest }), 204);
  });

  test('has no link any more when password or e-mail address change by other means', async () => {
    const current = { email: '', password: '' };
    const changes = {
      'PATCH /admin/me': (by: TestService, headers: { authorization: string }) =>
        changeMe(by, headers, { password: NEXT, current_password: current.password }),
      'PUT /org/update, password': (by: TestService, headers: { authorization: string }) =>
        apiOf(by).update({ password: NEXT }, { headers }),
      'PUT /org/update, e-mail': (by: TestService, headers: { authorization: string }) =>
        apiOf(by).update({ email: somebodyNew() }, { headers }),
    };
    for (const [name, change] of Object.entries(changes)) {
      const acme = await signUpAndIn(service);
      Object.assign(current, acme.signUp);
      const token = await resetTokenFor(acme.signUp.email);
      expectStatus(await change(service, acme.auth), 200);
      const late = await reset(service, { token, password: `${NEXT} again` });
      expect(expectProblem(late, 422, 'reset_token_invalid').detail, name).toMatch(/token/);
    }
  });

  test('and an address that waits to be confirmed: the link to confirm it is dead', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    const next = somebodyNew();
    expectStatus(
      await changeMe(service, acme.auth, { email: next, current_password: password }),
      200,
    );
    const confirmation = tokenIn(service.mails.to(next));
    const token = await resetTokenFor(email);
    expectStatus(await reset(service, { token, password: NEXT }), 204);
    expectProblem(await confirmEmail(service, { token: confirmation }), 422, 'email_token_invalid');
    const signedIn = expectStatus(await apiOf(service).login({ email, password: NEXT }), 200);
    expect((await me(service, authOf(signedIn.json()))).json().pending_email).toBeNull();
  });

  test('does not take the second factor with it', async () => {
    const person = await enrolled(service, apiOf(service));
    const { email } = person.signUp;
    const token = await resetTokenFor(email);
    expectStatus(await reset(service, { token, password: NEXT }), 204);
    const login = (code?: string) => apiOf(service).login({ email, password: NEXT, code });
    expectProblem(await login(), 401, 'mfa_required');
    expectStatus(await login(person.app.code()), 200);
  });

  test('of an account that is removed meanwhile cannot be replaced', async () => {
    const acme = await signUpAndIn(service);
    const token = await resetTokenFor(acme.signUp.email);
    expectStatus(await apiOf(service).remove({ headers: acme.auth }), 200);
    expectProblem(await reset(service, { token, password: NEXT }), 422, 'reset_token_invalid');
  });

  test('is replaced by one that may be chosen; the link stays good until then', async () => {
    const acme = await signUpAndIn(service);
    const { email, organization_name } = acme.signUp;
    const token = await resetTokenFor(email);
    await changingNothing(service.db, async () => {
      for (const password of ['password1', email, organization_name]) {
        const answer = await reset(service, { token, password });
        expect(pathsOf(expectProblem(answer, 422, 'password_too_common'))).toEqual(['/password']);
      }
    });
    expectStatus(await reset(service, { token, password: NEXT }), 204);
  });

  test('forgives what was guessed at it before', async () => {
    const settings = { rateLimits: true };
    const { masterDatabase: database } = service.settings;
    await using limited = await startTestService({ database, settings, clock: service.clock });
    const { email } = (await signUpAndIn(service)).signUp;
    const login = (password: string) => apiOf(limited).login({ email, password });
    for (let n = 0; n < 10; n += 1)
      expectProblem(await login(WRONG_PASSWORD), 401, 'invalid_credentials');
    expect((await login(WRONG_PASSWORD)).statusCode).toBe(429);
    const token = await resetTokenFor(email);
    expectStatus(await reset(limited, { token, password: NEXT }), 204);
    expectStatus(await login(NEXT), 200);
  });

  test('can be asked for only so often, whether there is an account or not', async () => {
    const settings = { rateLimits: true };
    await using limited = await startTestService({ settings });
    const { email } = (await signUpAndIn(limited)).signUp;
    for (const address of [email, somebodyNew()]) {
      const asked = [];
      for (let n = 0; n < 6; n += 1) asked.push(await forgot(limited, { email: address }));
      expect(tally(asked)).toEqual({ '202': 5, '429 rate_limit_exceeded': 1 });
    }
  });
});

test('a reset whose instance dies at any call: old password and a good link, or the new one and no session', async () => {
  await using cluster = await Cluster.create();
  const mailer = new RecordingMailer();
  const dying = await cluster.instance({ mailer });
  const other = await cluster.instance({ mailer });
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const acme = await signUpAndIn(other);
    const { email, password } = acme.signUp;
    expectStatus(await forgot(other, { email }), 202);
    await other.services.mailTasks.idle();
    const body = { token: tokenIn(mailer.to(email)), password: NEXT };
    const course = await dying.stopper.during({ reply }, () => reset(dying, body));
    const old = await apiOf(other).login({ email, password });
    if (old.statusCode === 200) {
      expectStatus(await reset(other, body), 204);
      expectProblem(await me(other, authOf(old.json())), 401, 'invalid_token');
    } else expectProblem(await reset(other, body), 422, 'reset_token_invalid');
    expectProblem(await me(other, acme.auth), 401, 'invalid_token');
    expectStatus(await apiOf(other).login({ email, password: NEXT }), 200);
    if (course.kind === 'ended') break;
    await course.wakeUp();
    expectStatus(await apiOf(other).login({ email, password: NEXT }), 200);
  }
});

describe('who asks learns nothing', () => {
  test('by the answer, nor by what is asked of the database before it', async () => {
    const { email } = (await signUpAndIn(service)).signUp;
    const answers = [];
    const asked: string[][] = [];
    for (const address of [email, somebodyNew()]) {
      await service.services.mailTasks.idle();
      calls.length = 0;
      const { statusCode, body, headers } = await forgot(service, { email: address });
      asked.push([...calls]);
      const { 'x-request-id': _id, date: _date, ...rest } = headers;
      answers.push({ statusCode, body, headers: rest });
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).toMatchObject({ statusCode: 202, body: '' });
    // The look-up is made in the background; at most it has just begun.
    expect(asked[0]).toEqual(asked[1]);
    expect(asked[0]?.length).toBeLessThan(2);
  });

  test('and nobody without an account gets a mail', async () => {
    const email = somebodyNew();
    expectStatus(await forgot(service, { email }), 202);
    await service.services.mailTasks.idle();
    expect(service.mails.to(email)).toEqual([]);
    expect(await placesNaming(service.db, email)).toEqual([]);
  });

  test('the token is in the mail alone, and good for nothing else', async () => {
    const acme = await signUpAndIn(service);
    const token = await resetTokenFor(acme.signUp.email);
    expect(await placesNaming(service.db, token)).toEqual([]);
    const invitation = await anInvitation(service, acme);
    await changingNothing(service.db, async () => {
      expectProblem(await confirmEmail(service, { token }), 422, 'email_token_invalid');
      expectProblem(await accept(service, { token }), 404, 'invitation_not_found');
      const other = { token: invitation.token, password: NEXT };
      expectProblem(await reset(service, other), 422, 'reset_token_invalid');
    });
  });
});

describe('bad input', () => {
  test.each([
    [{}, ['/email']],
    [{ email: 'x' }, ['/email']],
    [{ email: { $gt: '' } }, ['/email']],
    [{ email: null }, ['/email']],
    [{ email: 'a@b.example\r\nBcc: c@d.example' }, ['/email']],
    [{ email: 'a@b.example', token: 'x' }, ['/token']],
  ])('asking with %j', async (body, paths) => {
    await changingNothing(service.db, async () => {
      const problem = expectProblem(await forgot(service, body), 422, 'validation_failed');
      expect(pathsOf(problem)).toEqual(paths);
    });
  });

  test.each([
    [{}, ['/token', '/password']],
    [{ token: 'x' }, ['/password']],
    [{ token: 'x', password: 'short' }, ['/password']],
    [{ token: '', password: NEXT }, ['/token']],
    [{ token: { $ne: '' }, password: NEXT }, ['/token']],
    [{ token: ['x'], password: [NEXT] }, ['/token', '/password']],
    [{ token: 'x', password: NEXT, email: 'a@b.example' }, ['/email']],
    [{ token: 'x'.repeat(129), password: NEXT }, ['/token']],
  ])('replacing with %j', async (body, paths) => {
    await changingNothing(service.db, async () => {
      const problem = expectProblem(await reset(service, body), 422, 'validation_failed');
      expect(pathsOf(problem).sort()).toEqual([...paths].sort());
    });
  });

  test.each(['x', 'ä', '$where', 'a'.repeat(43)])('the token %j is none', async (token) => {
    const problem = expectProblem(
      await reset(service, { token, password: NEXT }),
      422,
      'reset_token_invalid',
    );
    expect(pathsOf(problem)).toEqual(['/token']);
  });
});
