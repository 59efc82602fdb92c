import bcrypt from 'bcrypt';
import { createDecoder } from 'fast-jwt';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, apiOf, bearer, expectProblem } from '../support/api.ts';
import { contradictions } from '../support/database-truth.ts';
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

const decode = createDecoder();

function adminOf(email: string) {
  return service.db.collection('admins').findOne({ email: email.toLowerCase() });
}

/** Puts a password record in place of a person's own, as an import of older data would. */
async function storePassword({ signUp }: SignedUp, password: object): Promise<void> {
  const { email } = signUp;
  await service.db.collection('admins').updateOne({ email }, { $set: { password } });
}

describe('what is answered', () => {
  test('tokens, the person, the organization, and every organization there is', async () => {
    const acme = await signUpAndIn(service);
    const { email, password, organization_name } = acme.signUp;
    const second = await signUpAndIn(service, { email, password });
    const admin = await adminOf(email);
    const response = expectStatus(await api.login({ email, password, organization_name }), 200);
    expect(response.headers['cache-control']).toBe('no-store');
    const choice = { id: acme.organization.id, organization_name, role: 'owner' };
    expect(response.json()).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: 'bearer',
      expires_in: 3_600,
      refresh_token: expect.stringMatching(/^[\w-]{40,}$/),
      refresh_expires_in: 7 * 24 * 3_600,
      admin: { id: String(admin?._id), email, name: null },
      organization: choice,
      organizations: [
        choice,
        {
          id: second.organization.id,
          organization_name: second.organization.organization_name,
          role: 'owner',
        },
      ],
    });
  });

  test('claims as the contract lists them, and no others', async () => {
    const acme = await signUpAndIn(service);
    const admin = await adminOf(acme.signUp.email);
    const iat = Math.floor(service.clock.now().getTime() / 1_000);
    expect(decode(acme.tokens.access_token)).toEqual({
      iss: 'tenantry',
      aud: 'tenantry',
      sub: String(admin?._id),
      admin_id: String(admin?._id),
      email: acme.signUp.email,
      org_id: acme.organization.id,
      organization: acme.organization.organization_name,
      role: 'owner',
      sid: expect.stringMatching(/^[0-9a-f]{24}$/),
      iat,
      exp: iat + 3_600,
      jti: expect.stringMatching(/./),
    });
  });

  test('a session without any token in it', async () => {
    const acme = await signUpAndIn(service);
    const organization_id = new ObjectId(acme.organization.id);
    const [session] = await service.db.collection('sessions').find({ organization_id }).toArray();
    expect(session).toMatchObject({
      _id: new ObjectId(String(decode(acme.tokens.access_token).sid)),
      admin_id: (await adminOf(acme.signUp.email))?._id,
      client: { address: '127.0.0.1', user_agent: 'lightMyRequest' },
      created_at: service.clock.now(),
      expires_at: new Date(service.clock.now().getTime() + 30 * 24 * 3_600_000),
      idle_expires_at: new Date(service.clock.now().getTime() + 7 * 24 * 3_600_000),
    });
    const stored = JSON.stringify(session);
    expect(stored).not.toContain(acme.tokens.access_token);
    expect(stored).not.toContain(acme.tokens.refresh_token);
  });

  test('the same to a form as to JSON', async () => {
    const { signUp } = await signUpAndIn(service);
    const { email, password } = signUp;
    const form = { username: email, password };
    const oauth = { grant_type: 'password', scope: '', client_id: '', client_secret: '' };
    const byJson = expectStatus(await api.login({ email, password }), 200).json();
    for (const fields of [form, { ...form, ...oauth }]) {
      const signedIn = expectStatus(await api.loginByForm(fields), 200).json();
      expect(Object.keys(signedIn)).toEqual(Object.keys(byJson));
      expect(signedIn.organization).toEqual(byJson.organization);
      expectStatus(await api.get(undefined, bearer(signedIn)), 200);
    }
  });

  test('a form with any other grant is refused', async () => {
    const { email, password } = (await signUpAndIn(service)).signUp;
    const form = { username: email, password, grant_type: 'client_credentials' };
    expectProblem(await api.loginByForm(form), 422, 'validation_failed');
  });

  test('an e-mail address in any case', async () => {
    const { email, password } = (await signUpAndIn(service)).signUp;
    expectStatus(await api.login({ email: email.toUpperCase(), password }), 200);
    expectStatus(await api.loginByForm({ username: email.toUpperCase(), password }), 200);
  });
});

describe('refusals', () => {
  test('an unknown account and a wrong password get the same answer', async () => {
    const { email } = (await signUpAndIn(service)).signUp;
    const answers = [];
    for (const body of [
      { email, password: 'wrong' },
      { email: 'nobody@acme.example', password: 'wrong' },
      { email, password: 'wrong', organization_name: 'nobody has this' },
      { email: 'nobody@acme.example', password: 'wrong', organization_name: 'nobody has this' },
    ]) {
      const response = await api.login(body);
      const { request_id, ...problem } = expectProblem(response, 401, 'invalid_credentials');
      expect(response.headers['www-authenticate']).toMatch(/^Bearer/);
      answers.push({ problem, headers: Object.keys(response.headers).sort() });
    }
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });

  test('a password is compared exactly', async () => {
    const { email, password } = (await signUpAndIn(service)).signUp;
    for (const other of [`${password} `, ` ${password}`, password.toUpperCase()])
      expectProblem(await api.login({ email, password: other }), 401, 'invalid_credentials');
  });

  test('a name that is not a name', async () => {
    const { email, password } = (await signUpAndIn(service)).signUp;
    expectProblem(
      await api.login({ email, password, organization_name: '!' }),
      422,
      'validation_failed',
    );
  });

  test('an organization of others answers as one that does not exist', async () => {
    const [acme, globex] = await Promise.all([signUpAndIn(service), signUpAndIn(service)]);
    const { email, password } = acme.signUp;
    const answers = [];
    for (const organization_name of [globex.organization.organization_name, 'nobody has this']) {
      const response = await api.login({ email, password, organization_name });
      const { request_id, ...problem } = expectProblem(response, 404, 'organization_not_found');
      answers.push(problem);
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  test('somebody who belongs nowhere cannot sign in, and is not told why', async () => {
    const { email, password } = (await signUpAndIn(service)).signUp;
    const admin = await adminOf(email);
    const memberships = service.db.collection('memberships');
    const membership = await memberships.findOne({ admin_id: admin?._id });
    await memberships.deleteMany({ admin_id: admin?._id });
    expectProblem(await api.login({ email, password }), 401, 'invalid_credentials');
    await memberships.insertOne({ ...membership });
  });
});

describe('which organization', () => {
  test('the one asked for, in any spelling of its name', async () => {
    const acme = await signUpAndIn(service);
    const { email, password } = acme.signUp;
    await signUpAndIn(service, { email, password });
    const organization_name = ` ${acme.organization.organization_name.toUpperCase()} `;
    const signedIn = expectStatus(await api.login({ email, password, organization_name }), 200);
    expect(signedIn.json().organization.id).toBe(acme.organization.id);
    const form = { username: email, password, organization_name };
    const byForm = expectStatus(await api.loginByForm(form), 200).json();
    expect(byForm.organization.id).toBe(acme.organization.id);
  });

  test('else the one used last, else the one joined first', async () => {
    const { email, password } = someSignUp();
    const ids: string[] = [];
    const names: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const created = expectStatus(await api.create(someSignUp({ email, password })), 201).json();
      ids.push(created.id);
      names.push(created.organization_name);
    }
    const loginId = async (organization_name?: string) => {
      const body = { email, password, ...(organization_name && { organization_name }) };
      return expectStatus(await api.login(body), 200).json().organization.id;
    };
    expect(await loginId()).toBe(ids[0]);
    expect(await loginId(names[2])).toBe(ids[2]);
    expect(await loginId()).toBe(ids[2]);
    expect(await loginId(names[1])).toBe(ids[1]);
    expect(await loginId()).toBe(ids[1]);
  });

  test('not a suspended one, unless it is asked for or there is no other', async () => {
    const first = await signUpAndIn(service);
    const { email, password, organization_name } = first.signUp;
    const second = await signUpAndIn(service, { email, password });
    expectStatus(await api.login({ email, password, organization_name }), 200);
    const organizations = service.db.collection('organizations');
    const setState = (one: SignedUp, state: string) =>
      organizations.updateOne({ _id: new ObjectId(one.organization.id) }, { $set: { state } });
    await setState(first, 'suspended');

    const signedIn = expectStatus(await api.login({ email, password }), 200).json();
    expect(signedIn.organization.id).toBe(second.organization.id);
    expectProblem(
      await api.login({ email, password, organization_name }),
      403,
      'organization_suspended',
    );
    await setState(second, 'suspended');
    expectProblem(await api.login({ email, password }), 403, 'organization_suspended');
    await Promise.all([setState(first, 'active'), setState(second, 'active')]);
  });
});

describe('passwords stored by an older system', () => {
  test.each(['$2b$', '$2a$', '$2y$'])(
    'a plain bcrypt hash %s verifies, and is replaced at the first sign-in',
    async (prefix) => {
      const acme = await signUpAndIn(service);
      const { email } = acme.signUp;
      const password = 'from the older system';
      const hash = (await bcrypt.hash(password, 4)).replace(/^\$2b\$/, prefix);
      await storePassword(acme, { scheme: 'bcrypt', hash });

      expectProblem(await api.login({ email, password: 'wrong' }), 401, 'invalid_credentials');
      expect((await adminOf(email))?.password).toEqual({ scheme: 'bcrypt', hash });
      expectStatus(await api.login({ email, password }), 200);
      const upgraded = (await adminOf(email))?.password;
      expect(upgraded).toMatchObject({ scheme: 'bcrypt-sha384' });
      expect(upgraded.hash).toMatch(/^\$2b\$04\$/);
      expectStatus(await api.login({ email, password }), 200);
      expect((await adminOf(email))?.password).toEqual(upgraded);
    },
  );

  test('a hash of another cost is replaced as well', async () => {
    await using costlier = await startTestService({
      database: service.settings.masterDatabase,
      settings: { bcryptCost: 5 },
    });
    const { email, password } = (await signUpAndIn(service)).signUp;
    expectStatus(await apiOf(costlier).login({ email, password }), 200);
    expect((await adminOf(email))?.password.hash).toMatch(/^\$2b\$05\$/);
    expectStatus(await apiOf(costlier).login({ email, password }), 200);
  });

  test.each(['', 'not a hash', '$2b$04$short', '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA'])(
    'a hash that is none (%j) verifies nothing and breaks nothing',
    async (hash) => {
      const acme = await signUpAndIn(service);
      const { email, password } = acme.signUp;
      for (const scheme of ['bcrypt', 'bcrypt-sha384']) {
        await storePassword(acme, { scheme, hash });
        expectProblem(await api.login({ email, password }), 401, 'invalid_credentials');
      }
    },
  );
});
