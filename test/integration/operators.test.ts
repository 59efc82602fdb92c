import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiOf, bearer, expectProblem, pathsOf, tally } from '../support/api.ts';
import { makeKey, withKey } from '../support/api-keys.ts';
import {
  anOperator,
  ask,
  enrolOperator,
  operatorLogin,
  signInOperator,
} from '../support/operators.ts';
import {
  expectStatus,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  return () => service[Symbol.asyncDispose]();
});

const me = (auth: { authorization: string }, by = service) => ask(by, 'GET', '/operator/me', auth);
const refresh = (refresh_token: string) =>
  ask(service, 'POST', '/operator/refresh', undefined, { refresh_token });

describe('the first operator', () => {
  const first = { email: 'Grace@Ops.Example', password: 'a passphrase of grace' };
  const other = { ...first, password: 'another passphrase of grace' };
  const login = { ...first, email: 'grace@ops.example' };

  test('is made at the start from the settings, and can sign in', async () => {
    await using started = await startTestService({ settings: { firstOperator: first } });
    const answer = expectStatus(await operatorLogin(started, login), 200).json();
    expect(answer.operator).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      email: 'grace@ops.example',
      name: null,
    });
    expect(await started.db.collection('admins').countDocuments()).toBe(0);
  });

  test('is made once by any number of instances that start at the same time', async () => {
    await using started = await startTestService();
    const { masterDatabase: database } = started.settings;
    const options = { database, settings: { firstOperator: first } };
    const instances = await Promise.all(Array.from({ length: 5 }, () => startTestService(options)));
    expect(await started.db.collection('operators').countDocuments()).toBe(1);
    expectStatus(await operatorLogin(started, login), 200);
    for (const instance of instances) await instance[Symbol.asyncDispose]();
  });

  test('keeps the password that was set since; a later one in the settings is told of, once', async () => {
    await using started = await startTestService({ settings: { firstOperator: first } });
    const { masterDatabase: database } = started.settings;
    const logged: string[] = [];
    const logger = pino({ level: 'info' }, { write: (line) => logged.push(line) });
    await using again = await startTestService({
      ...{ database, logger, settings: { firstOperator: other } },
    });
    expectProblem(
      await operatorLogin(again, { ...login, ...other, email: login.email }),
      401,
      'invalid_credentials',
    );
    expectStatus(await operatorLogin(again, login), 200);
    expect(logged.filter((line) => line.includes('OPERATOR_PASSWORD'))).toHaveLength(1);
    expect(logged.join('')).not.toContain('passphrase');
  });

  test('whom the settings name as before is not mentioned', async () => {
    await using started = await startTestService({ settings: { firstOperator: first } });
    const { masterDatabase: database } = started.settings;
    const logged: string[] = [];
    const logger = pino({ level: 'info' }, { write: (line) => logged.push(line) });
    const settings = { firstOperator: first };
    await using _again = await startTestService({ database, logger, settings });
    expect(logged.join('')).not.toContain('OPERATOR_');
  });
});

describe('signing in', () => {
  test('gives tokens for what operators do', async () => {
    const grace = await anOperator(service);
    expect(expectStatus(await me(grace.auth), 200).json()).toMatchObject({
      email: grace.email,
      mfa: { totp: false, recovery_codes_left: 0 },
    });
  });

  test('is apart from that of organizations, also with the same address', async () => {
    const grace = await anOperator(service);
    const { email } = grace;
    const member = await signUpAndIn(service, { email, password: 'her password as a member' });
    const hers = { email, password: grace.password };
    expectProblem(await apiOf(service).login(hers), 401, 'invalid_credentials');
    expectProblem(await operatorLogin(service, member.signUp), 422, 'validation_failed');
    const crossed = { email, password: member.signUp.password };
    expectProblem(await operatorLogin(service, crossed), 401, 'invalid_credentials');
    expectStatus(await operatorLogin(service, { email, password: grace.password }), 200);
  });

  test.each([
    ['nothing', {}, ['/email', '/password']],
    ['an operator object', { email: { $gt: '' }, password: { $ne: '' } }, ['/email', '/password']],
    ['a list', { email: ['a@b.example'], password: 'x' }, ['/email']],
    ['more than it takes', { email: 'a@b.example', password: 'x', role: 'owner' }, ['/role']],
    ['no address', { email: 'grace', password: 'x' }, ['/email']],
  ])('takes no body of %s', async (_, body, paths) => {
    const problem = expectProblem(await operatorLogin(service, body), 422, 'validation_failed');
    expect(pathsOf(problem).sort()).toEqual(paths);
  });

  test('is limited as for members, and apart from them', async () => {
    await using limited = await startTestService({ settings: { rateLimits: true } });
    const grace = await anOperator(limited);
    const { email } = grace;
    const member = await signUpAndIn(limited, { email });
    const wrong = { email, password: 'wrong' };
    for (let n = 0; n < 10; n += 1)
      expectProblem(await operatorLogin(limited, wrong), 401, 'invalid_credentials');
    expectProblem(await operatorLogin(limited, grace), 422, 'validation_failed');
    const right = { email, password: grace.password };
    expectProblem(await operatorLogin(limited, right), 429, 'too_many_attempts');
    expectStatus(await apiOf(limited).login(member.signUp), 200);
    limited.clock.advance(60_000);
    expectStatus(await operatorLogin(limited, right), 200);
  });
});

describe('a session', () => {
  test('is refreshed with each token once', async () => {
    const { tokens } = await anOperator(service);
    const next = expectStatus(await refresh(tokens.refresh_token), 200).json();
    expectStatus(await me(bearer(next).headers), 200);
    const same = expectStatus(await refresh(tokens.refresh_token), 200).json();
    expect(same.refresh_token).toBe(next.refresh_token);
    service.clock.advance(11_000);
    expectProblem(await refresh(tokens.refresh_token), 401, 'refresh_token_reused');
    expectProblem(await refresh(next.refresh_token), 401, 'invalid_refresh_token');
    expectProblem(await me(bearer(next).headers), 401, 'invalid_token');
  });

  test('ends with logout, on every instance at once', async () => {
    const { masterDatabase: database } = service.settings;
    await using second = await startTestService({ database, clock: service.clock });
    const { auth, tokens } = await anOperator(service);
    expectStatus(await me(auth, second), 200);
    expectStatus(await ask(service, 'POST', '/operator/logout', auth), 204);
    expectProblem(await me(auth, second), 401, 'invalid_token');
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_refresh_token');
  });

  test('ends when it expires', async () => {
    const { auth } = await anOperator(service);
    service.clock.advance(3_600_000);
    expectProblem(await me(auth), 401, 'token_expired');
  });

  test('has tokens that open nothing of the other kind', async () => {
    const grace = await anOperator(service);
    const ada = await signUpAndIn(service);
    expectProblem(await refresh(ada.tokens.refresh_token), 401, 'invalid_refresh_token');
    expectProblem(
      await apiOf(service).refresh(grace.tokens.refresh_token),
      401,
      'invalid_refresh_token',
    );
    expectProblem(await me(ada.auth), 403, 'operator_required');
    const key = await makeKey(service, ada.auth, ['org:read']);
    expectProblem(await me(withKey(key)), 403, 'operator_required');
    const { headers } = { headers: grace.auth };
    expectProblem(await apiOf(service).me({ headers }), 403, 'organization_required');
    const { organization_name } = ada.organization;
    expectProblem(
      await apiOf(service).get(organization_name, { headers }),
      403,
      'organization_required',
    );
    const tampered = { authorization: `${grace.auth.authorization}x` };
    expectProblem(await me(tampered), 401, 'invalid_token');
  });
});

describe('a new password', () => {
  const NEW = 'an even better passphrase';
  const change = (auth: { authorization: string }, body: object) =>
    ask(service, 'PATCH', '/operator/me', auth, body);

  test('needs the present one, ends the other sessions and is told of by mail', async () => {
    const grace = await anOperator(service);
    const elsewhere = await signInOperator(service, {
      email: grace.email,
      password: grace.password,
    });
    const { auth, password: current_password } = grace;
    expect(
      pathsOf(expectProblem(await change(auth, { password: NEW }), 422, 'validation_failed')),
    ).toEqual(['/current_password']);
    const wrong = { password: NEW, current_password: 'wrong' };
    expect(pathsOf(expectProblem(await change(auth, wrong), 422, 'validation_failed'))).toEqual([
      '/current_password',
    ]);
    expectStatus(await change(auth, { password: NEW, current_password, name: 'Grace' }), 200);
    expect(expectStatus(await me(auth), 200).json().name).toBe('Grace');
    expectProblem(await me(elsewhere.auth), 401, 'invalid_token');
    expectProblem(await refresh(elsewhere.tokens.refresh_token), 401, 'invalid_refresh_token');
    const { email } = grace;
    expectProblem(
      await operatorLogin(service, { email, password: current_password }),
      401,
      'invalid_credentials',
    );
    expectStatus(await operatorLogin(service, { email, password: NEW }), 200);
    await service.services.mailTasks.idle();
    expect(service.mails.to(email)).toHaveLength(1);
  });

  test('has to be a good one', async () => {
    const { auth, email, password: current_password } = await anOperator(service);
    for (const password of ['password1', email])
      expectProblem(await change(auth, { password, current_password }), 422, 'password_too_common');
    expectProblem(
      await change(auth, { password: 'short', current_password }),
      422,
      'validation_failed',
    );
    expectProblem(await change(auth, {}), 422, 'validation_failed');
    expectProblem(await change(auth, { name: 'G', code: '123456' }), 422, 'validation_failed');
  });
});

describe('the second factor', () => {
  test('is demanded from then on, and ends every session that was begun without it', async () => {
    const grace = await anOperator(service);
    const { email, password, auth } = grace;
    const elsewhere = await signInOperator(service, { email, password });
    const { app, recoveryCodes } = await enrolOperator(service, grace);
    expectStatus(await me(auth), 200);
    expectProblem(await me(elsewhere.auth), 401, 'invalid_token');
    expectProblem(await refresh(elsewhere.tokens.refresh_token), 401, 'invalid_refresh_token');

    expectProblem(await operatorLogin(service, { email, password }), 401, 'mfa_required');
    const wrong = { email, password, code: app.wrongCode() };
    expectProblem(await operatorLogin(service, wrong), 401, 'invalid_code');
    const code = app.code();
    const signedIn = await signInOperator(service, { email, password, code });
    expect((await me(signedIn.auth)).json().mfa).toEqual({ totp: true, recovery_codes_left: 10 });
    expectProblem(await operatorLogin(service, { email, password, code }), 401, 'invalid_code');
    await signInOperator(service, { email, password, code: String(recoveryCodes[0]) });
  });

  test('is wanted for another password, and for its removal', async () => {
    const grace = await anOperator(service);
    const { email, password, auth } = grace;
    const { recoveryCodes } = await enrolOperator(service, grace);
    const change = { password: 'an even better passphrase', current_password: password };
    expectProblem(await ask(service, 'PATCH', '/operator/me', auth, change), 422, 'mfa_required');
    const proof = { current_password: password, code: recoveryCodes[0] };
    const codes = await ask(service, 'POST', '/operator/mfa/recovery-codes', auth, proof);
    const [code] = expectStatus(codes, 200).json().recovery_codes;
    expectProblem(
      await ask(service, 'DELETE', '/operator/mfa/totp', auth, {
        ...proof,
        code: recoveryCodes[1],
      }),
      422,
      'invalid_code',
    );
    const removal = await ask(service, 'DELETE', '/operator/mfa/totp', auth, { ...proof, code });
    expectStatus(removal, 204);
    expectStatus(await operatorLogin(service, { email, password }), 200);
  });

  test('is one, however often it is confirmed at once', async () => {
    const { auth, password } = await anOperator(service);
    const begun = await ask(service, 'POST', '/operator/mfa/totp', auth, {
      current_password: password,
    });
    expectStatus(begun, 200);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () =>
        ask(service, 'POST', '/operator/mfa/totp/confirm', auth, { code: '000000' }),
      ),
    );
    expect(Object.keys(tally(answers))).toEqual(['422 invalid_code']);
  });
});

describe('SIGNUP=operators', () => {
  let closed: TestService;
  beforeAll(async () => {
    closed = await startTestService({ settings: { signup: 'operators' } });
  });
  afterAll(() => closed[Symbol.asyncDispose]());

  test('refuses everybody but operators, and creates nothing', async () => {
    const grace = await anOperator(closed);
    const create = (auth: { authorization: string } | undefined, body: unknown = someSignUp()) =>
      ask(closed, 'POST', '/org/create', auth, body);
    expectProblem(await create(undefined), 403, 'signup_closed');
    expectProblem(await create(undefined, {}), 403, 'signup_closed');
    expectProblem(await create({ authorization: 'Bearer x.y.z' }), 401, 'invalid_token');
    const signUp = someSignUp();
    expectStatus(await create(grace.auth, signUp), 201);
    const member = expectStatus(await apiOf(closed).login(signUp), 200).json();
    expectProblem(await create(bearer(member).headers), 403, 'signup_closed');
    expect(await closed.db.collection('organizations').countDocuments()).toBe(1);
    expect(await closed.db.collection('admins').countDocuments()).toBe(1);
  });

  test('repeats an answer to the operator who was given it, and to no other', async () => {
    const [grace, alan] = await Promise.all([anOperator(closed), anOperator(closed)]);
    const payload = someSignUp();
    const create = (auth: { authorization: string }) => {
      const headers = { ...auth, 'idempotency-key': 'once' };
      return closed.app.inject({ method: 'POST', url: '/org/create', headers, payload });
    };
    const created = expectStatus(await create(grace.auth), 201);
    const again = expectStatus(await create(grace.auth), 201);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.json()).toEqual(created.json());
    expectProblem(await create(alan.auth), 409, 'organization_name_taken');
  });
});
