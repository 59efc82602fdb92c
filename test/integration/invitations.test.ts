import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MailRefusedError, MailUnavailableError } from '../../src/mail/mail-errors.ts';
import { apiOf, expectProblem, pathsOf } from '../support/api.ts';
import { makeKey, withKey } from '../support/api-keys.ts';
import { enrolled } from '../support/authenticator.ts';
import { changingNothing, contradictions, placesNaming } from '../support/database-truth.ts';
import {
  type Auth,
  accept,
  anInvitation,
  authOf,
  invitationsOf,
  invite,
  lookUp,
  resend,
  revoke,
  SOME_PASSWORD,
  somebodyNew,
} from '../support/invitations.ts';
import { aMember } from '../support/members.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const DAY_MS = 24 * 3_600_000;

let service: TestService;
let acme: SignedUp;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
});
afterAll(async () => {
  expect(await contradictions(service.db)).toEqual([]);
  await service[Symbol.asyncDispose]();
});

const signInAgain = async ({ signUp }: SignedUp): Promise<Auth> => {
  const { email, password } = signUp;
  return authOf(expectStatus(await apiOf(service).login({ email, password }), 200).json());
};
const members = async (headers: Auth) =>
  expectStatus(await service.app.inject({ url: '/org/members', headers }), 200).json().data;

describe('an invitation', () => {
  test('is sent, listed, looked up, and makes a new person a member who is signed in', async () => {
    const globex = await signUpAndIn(service);
    const email = somebodyNew();
    const created = expectStatus(
      await invite(service, globex.auth, { email: email.toUpperCase(), role: 'editor' }),
      201,
    ).json();
    const { email: owner, organization_name } = globex.signUp;
    expect(created).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      ...{ email, role: 'editor', status: 'pending' },
      invited_by: { type: 'admin', id: expect.any(String), email: owner },
      created_at: service.clock.now().toISOString(),
      expires_at: new Date(service.clock.now().getTime() + 7 * DAY_MS).toISOString(),
    });
    const listed = expectStatus(await invitationsOf(service, globex.auth), 200).json();
    expect(listed).toEqual({ data: [created], next_cursor: null });
    const [mail] = service.mails.to(email);
    expect(mail?.text).toContain(owner);
    expect(mail?.text).toContain(organization_name);
    expect(mail?.text).toContain('editor');

    const token = tokenIn(service.mails.to(email));
    const { expires_at } = created;
    const preview = { organization_name, email, role: 'editor', expires_at };
    expect(expectStatus(await lookUp(service, { token }), 200).json()).toEqual({
      ...preview,
      account_exists: false,
    });
    const joined = expectStatus(
      await accept(service, { token, password: SOME_PASSWORD, name: ' Grace Hopper ' }),
      200,
    );
    expect(joined.headers['cache-control']).toBe('no-store');
    const organization = { id: globex.organization.id, organization_name, role: 'editor' };
    expect(joined.json()).toMatchObject({
      admin: { email, name: 'Grace Hopper' },
      organization,
      organizations: [organization],
    });
    expect(await members(authOf(joined.json()))).toHaveLength(2);
    expect(expectStatus(await invitationsOf(service, globex.auth), 200).json().data).toEqual([]);
    expectStatus(await apiOf(service).login({ email, password: SOME_PASSWORD }), 200);
    expectProblem(
      await invite(service, globex.auth, { email, role: 'viewer' }),
      409,
      'already_member',
    );
  });

  test('works once', async () => {
    const { token } = await anInvitation(service, acme);
    const body = { token, password: SOME_PASSWORD };
    expectStatus(await accept(service, body), 200);
    expectProblem(await accept(service, body), 404, 'invitation_not_found');
    expectProblem(await lookUp(service, { token }), 404, 'invitation_not_found');
  });

  test('is good for seven days, listed as expired after, and can be sent again then', async () => {
    const globex = await signUpAndIn(service);
    const { id, email, token } = await anInvitation(service, globex);
    service.clock.advance(7 * DAY_MS - 1);
    expectStatus(await lookUp(service, { token }), 200);
    service.clock.advance(1);
    const body = { token, password: SOME_PASSWORD };
    expectProblem(await lookUp(service, { token }), 404, 'invitation_not_found');
    expectProblem(await accept(service, body), 404, 'invitation_not_found');
    const auth = await signInAgain(globex);
    const [listed] = expectStatus(await invitationsOf(service, auth), 200).json().data;
    expect(listed).toMatchObject({ id, status: 'expired' });
    expect(expectStatus(await resend(service, auth, id), 200).json()).toMatchObject({
      ...{ id, status: 'pending' },
      expires_at: new Date(service.clock.now().getTime() + 7 * DAY_MS).toISOString(),
    });
    const fresh = tokenIn(service.mails.to(email));
    expectStatus(await accept(service, { ...body, token: fresh }), 200);
  });

  test('that has expired makes way for another', async () => {
    const globex = await signUpAndIn(service);
    const { id, email } = await anInvitation(service, globex);
    service.clock.advance(7 * DAY_MS);
    const auth = await signInAgain(globex);
    const next = await anInvitation(service, { auth }, { email, role: 'admin' });
    expect(next.id).not.toBe(id);
    const { data } = expectStatus(await invitationsOf(service, auth), 200).json();
    expect(data).toMatchObject([{ id: next.id, role: 'admin', status: 'pending' }]);
    acme = { ...acme, auth: await signInAgain(acme) };
  });

  test('that is sent again kills the link before', async () => {
    const { id, email, token } = await anInvitation(service, acme);
    expectStatus(await resend(service, acme.auth, id), 200);
    const fresh = tokenIn(service.mails.to(email));
    expect(fresh).not.toBe(token);
    expectProblem(
      await accept(service, { token, password: SOME_PASSWORD }),
      404,
      'invitation_not_found',
    );
    expectStatus(await accept(service, { token: fresh, password: SOME_PASSWORD }), 200);
  });

  test('that is revoked is worthless at once, and makes way for another', async () => {
    const { id, email, token } = await anInvitation(service, acme);
    expect(expectStatus(await revoke(service, acme.auth, id), 204).body).toBe('');
    expectProblem(await lookUp(service, { token }), 404, 'invitation_not_found');
    expectProblem(
      await accept(service, { token, password: SOME_PASSWORD }),
      404,
      'invitation_not_found',
    );
    expectProblem(await revoke(service, acme.auth, id), 404, 'invitation_not_found');
    expectProblem(await resend(service, acme.auth, id), 404, 'invitation_not_found');
    await anInvitation(service, acme, { email });
  });

  test('is one at a time for an address', async () => {
    const { email } = await anInvitation(service, acme);
    for (const spelling of [email, email.toUpperCase()])
      expectProblem(
        await invite(service, acme.auth, { email: spelling, role: 'editor' }),
        409,
        'already_invited',
      );
    const globex = await signUpAndIn(service);
    await anInvitation(service, globex, { email });
  });

  test('of another organization is not there', async () => {
    const globex = await signUpAndIn(service);
    const { id } = await anInvitation(service, globex);
    for (const other of [id, new ObjectId().toHexString()]) {
      expectProblem(await revoke(service, acme.auth, other), 404, 'invitation_not_found');
      expectProblem(await resend(service, acme.auth, other), 404, 'invitation_not_found');
    }
    expect(expectStatus(await invitationsOf(service, globex.auth), 200).json().data).toHaveLength(
      1,
    );
  });

  test('is repeated by its Idempotency-Key, without another mail', async () => {
    const email = somebodyNew();
    const body = { email, role: 'viewer' };
    const first = expectStatus(await invite(service, acme.auth, body, 'invite-once'), 201);
    const again = expectStatus(await invite(service, acme.auth, body, 'invite-once'), 201);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.json()).toEqual(first.json());
    expect(service.mails.to(email)).toHaveLength(1);
  });

  test('whose answer never came is sent again by its Idempotency-Key', async () => {
    const email = somebodyNew();
    const body = { email, role: 'viewer' };
    const first = expectStatus(await invite(service, acme.auth, body, 'invite-lost'), 201).json();
    // As a crash right before the answer leaves it.
    await service.db
      .collection('idempotency_keys')
      .updateOne(
        { subject_ids: new ObjectId(first.id) },
        { $set: { answer: null, locked_until: new Date(0) } },
      );
    const again = expectStatus(await invite(service, acme.auth, body, 'invite-lost'), 201).json();
    expect(again.id).toBe(first.id);
    expect(service.mails.to(email)).toHaveLength(2);
    const token = tokenIn(service.mails.to(email));
    expectStatus(await accept(service, { token, password: SOME_PASSWORD }), 200);
  });

  test('comes in pages', async () => {
    const globex = await signUpAndIn(service);
    const sent = [];
    for (let n = 0; n < 5; n += 1) sent.push((await anInvitation(service, globex)).id);
    const seen: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const query: Record<string, string> = { limit: '2', ...(after && { after }) };
      const page: { data: { id: string }[]; next_cursor: string | null } = expectStatus(
        await invitationsOf(service, globex.auth, query),
        200,
      ).json();
      seen.push(...page.data.map(({ id }) => id));
      after = page.next_cursor;
    }
    expect(seen).toEqual(sent);
  });
});

describe('when the mail cannot be sent', () => {
  const failing = async (failure: Error, work: () => Promise<void>) => {
    service.mails.failure = failure;
    try {
      await changingNothing(service.db, work);
    } finally {
      service.mails.failure = undefined;
    }
  };

  test('there is no invitation', async () => {
    const email = somebodyNew();
    const body = { email, role: 'viewer' };
    await failing(new MailUnavailableError(new Error('away')), async () => {
      const problem = await invite(service, acme.auth, body);
      expectProblem(problem, 503, 'mail_unavailable');
      expect(problem.headers['retry-after']).toBe('30');
    });
    await failing(new MailRefusedError(new Error('no such mailbox')), async () => {
      const problem = expectProblem(await invite(service, acme.auth, body), 422, 'mail_refused');
      expect(pathsOf(problem)).toEqual(['/email']);
    });
    await anInvitation(service, acme, { email });
  });

  test('one that is sent again stays as it was, and its link good', async () => {
    const { id, token } = await anInvitation(service, acme);
    service.clock.advance(60_000);
    await failing(new MailUnavailableError(new Error('away')), async () => {
      expectProblem(await resend(service, acme.auth, id), 503, 'mail_unavailable');
    });
    expectStatus(await accept(service, { token, password: SOME_PASSWORD }), 200);
  });
});

describe('nobody gives what they lack', () => {
  test('neither by inviting, nor by sending again, nor takes it by revoking', async () => {
    const admin = await aMember(service, acme, 'admin');
    const editor = await aMember(service, acme, 'editor');
    await changingNothing(service.db, async () => {
      const owner = { email: somebodyNew(), role: 'owner' };
      expectProblem(await invite(service, admin.auth, owner), 403, 'permission_not_held');
      expectProblem(await invite(service, editor.auth, owner), 403, 'permission_denied');
      expectProblem(await invitationsOf(service, editor.auth), 403, 'permission_denied');
    });
    const { id } = await anInvitation(service, acme, { role: 'owner' });
    expectProblem(await resend(service, admin.auth, id), 403, 'permission_not_held');
    expectProblem(await revoke(service, admin.auth, id), 403, 'permission_not_held');
    expectStatus(await revoke(service, acme.auth, id), 204);
  });

  test('and a role that does not exist cannot be given', async () => {
    const body = { email: somebodyNew(), role: 'boss' };
    await changingNothing(service.db, async () => {
      const problem = expectProblem(await invite(service, acme.auth, body), 422, 'unknown_role');
      expect(pathsOf(problem)).toEqual(['/role']);
    });
  });

  test('and a role that somebody is invited to stays', async () => {
    const { auth: headers } = acme;
    const payload = { name: 'guest', permissions: ['org:read'] };
    expectStatus(
      await service.app.inject({ method: 'POST', url: '/org/roles', headers, payload }),
      201,
    );
    const remove = () => service.app.inject({ method: 'DELETE', url: '/org/roles/guest', headers });
    const { id, token } = await anInvitation(service, acme, { role: 'guest' });
    expectProblem(await remove(), 409, 'role_in_use');
    expectStatus(await accept(service, { token, password: SOME_PASSWORD }), 200);
    expectProblem(await remove(), 409, 'role_in_use');
    expectProblem(await revoke(service, headers, id), 404, 'invitation_not_found');
  });
});

describe('an API key', () => {
  test('invites for its organization, and cannot join one', async () => {
    const key = await makeKey(service, acme.auth, ['invitation:write', 'org:read']);
    const auth = withKey(key);
    const body = { email: somebodyNew(), role: 'editor' };
    expectProblem(await invite(service, auth, body), 403, 'permission_not_held');
    const custom = { name: 'reader', permissions: ['org:read'] };
    const { auth: headers } = acme;
    const url = '/org/roles';
    expectStatus(await service.app.inject({ method: 'POST', url, headers, payload: custom }), 201);
    const invited = await invite(service, auth, { ...body, role: 'reader' });
    const { invited_by } = expectStatus(invited, 201).json();
    expect(invited_by).toEqual({ type: 'api_key', id: key.id, email: null });
    const [mail] = service.mails.to(body.email);
    const { organization_name } = acme.signUp;
    expect(mail?.text).toContain(`${organization_name} invites you to join`);
    const token = tokenIn(service.mails.to(body.email));
    await changingNothing(service.db, async () => {
      expectProblem(await accept(service, { token }, auth), 403, 'person_required');
    });
  });
});

test('the address of who invited is told while they are a member', async () => {
  const globex = await signUpAndIn(service);
  const admin = await aMember(service, globex, 'admin');
  await anInvitation(service, { auth: admin.auth });
  const inviters = async () => {
    const { data } = expectStatus(await invitationsOf(service, globex.auth), 200).json();
    return data.map(({ invited_by }: { invited_by: object }) => invited_by);
  };
  const { id, email } = admin;
  expect(await inviters()).toEqual([{ type: 'admin', id, email }]);
  const url = `/org/members/${id}`;
  const { auth: headers } = globex;
  expectStatus(await service.app.inject({ method: 'DELETE', url, headers }), 204);
  expect(await inviters()).toEqual([{ type: 'admin', id, email: null }]);
});

describe('somebody with an account accepts', () => {
  test('with the password, and keeps name and password', async () => {
    const globex = await signUpAndIn(service);
    const { email, password } = globex.signUp;
    const { token } = await anInvitation(service, acme, { email });
    const { account_exists } = expectStatus(await lookUp(service, { token }), 200).json();
    expect(account_exists).toBe(true);
    await changingNothing(service.db, async () => {
      const missing = expectProblem(await accept(service, { token }), 422, 'validation_failed');
      expect(pathsOf(missing)).toEqual(['/password']);
      const wrong = { token, password: 'not the password' };
      expectProblem(await accept(service, wrong), 401, 'invalid_credentials');
    });
    const joined = expectStatus(await accept(service, { token, password, name: 'X' }), 200).json();
    expect(joined.admin.name).toBeNull();
    expect(joined.organization.id).toBe(acme.organization.id);
    expect(joined.organizations).toHaveLength(2);
    expectStatus(await apiOf(service).login({ email, password }), 200);
  });

  test('being signed in, without a password', async () => {
    const globex = await signUpAndIn(service);
    const { token } = await anInvitation(service, acme, { email: globex.signUp.email });
    const joined = expectStatus(await accept(service, { token }, globex.auth), 200).json();
    expect(joined.organization).toMatchObject({ id: acme.organization.id, role: 'viewer' });
    const url = '/admin/me';
    const still = await service.app.inject({ url, headers: globex.auth });
    expect(expectStatus(still, 200).json().organization.id).toBe(globex.organization.id);
  });

  test('with the second factor, if there is one', async () => {
    const person = await enrolled(service, apiOf(service));
    const { email, password } = person.signUp;
    const { token } = await anInvitation(service, acme, { email });
    const body = { token, password };
    expectProblem(await accept(service, body), 401, 'mfa_required');
    const wrong = { ...body, code: person.app.wrongCode() };
    expectProblem(await accept(service, wrong), 401, 'invalid_code');
    expectStatus(await accept(service, { ...body, code: person.app.code() }), 200);
  });

  test('but not for somebody else', async () => {
    const globex = await signUpAndIn(service);
    const { token } = await anInvitation(service, acme);
    await changingNothing(service.db, async () => {
      for (const password of [undefined, SOME_PASSWORD])
        expectProblem(
          await accept(service, { token, password }, globex.auth),
          403,
          'invitation_for_other',
        );
      const broken = { authorization: 'Bearer none' };
      expectProblem(
        await accept(service, { token, password: SOME_PASSWORD }, broken),
        401,
        'invalid_token',
      );
    });
  });

  test('again after having been removed', async () => {
    const { email, token } = await anInvitation(service, acme);
    const body = { token, password: SOME_PASSWORD };
    const { admin } = expectStatus(await accept(service, body), 200).json();
    const { auth: headers } = acme;
    const url = `/org/members/${admin.id}`;
    expectStatus(await service.app.inject({ method: 'DELETE', url, headers }), 204);
    const again = await anInvitation(service, acme, { email, role: 'editor' });
    const joined = await accept(service, { ...body, token: again.token });
    expect(expectStatus(joined, 200).json().organization.role).toBe('editor');
  });
});

describe('a new account', () => {
  test.each([
    [{ password: 'password1' }, 'password_too_common', '/password'],
    [{ password: 'short' }, 'validation_failed', '/password'],
    [{}, 'validation_failed', '/password'],
    [{ password: SOME_PASSWORD, name: '\u202eadA' }, 'validation_failed', '/name'],
    [{ password: SOME_PASSWORD, name: ' ' }, 'validation_failed', '/name'],
  ])('is refused with %j', async (rest, code, path) => {
    const { token, email } = await anInvitation(service, acme);
    await changingNothing(service.db, async () => {
      const problem = expectProblem(await accept(service, { token, ...rest }), 422, code);
      expect(pathsOf(problem)).toEqual([path]);
      for (const password of [email, acme.signUp.organization_name])
        expectProblem(await accept(service, { token, password }), 422, 'password_too_common');
    });
    expectStatus(await accept(service, { token, password: SOME_PASSWORD }), 200);
  });
});

describe('an organization', () => {
  test('that is suspended cannot be joined; one that is deleted leaves nothing of its invitations', async () => {
    const globex = await signUpAndIn(service);
    const { email, token } = await anInvitation(service, globex);
    const accepted = await anInvitation(service, globex);
    const body = { token, password: SOME_PASSWORD };
    expectStatus(await accept(service, { ...body, token: accepted.token }), 200);
    const filter = { _id: new ObjectId(globex.organization.id) };
    const setState = (state: string) =>
      service.db.collection('organizations').updateOne(filter, { $set: { state } });
    await setState('suspended');
    expectProblem(await lookUp(service, { token }), 403, 'organization_suspended');
    expectProblem(await accept(service, body), 403, 'organization_suspended');
    await setState('deleting');
    expectProblem(await accept(service, body), 404, 'invitation_not_found');
    await setState('active');
    const { auth: headers } = globex;
    expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
    expectProblem(await accept(service, body), 404, 'invitation_not_found');
    const { id } = globex.organization;
    expect(await placesNaming(service.db, id, email, accepted.email)).toEqual([]);
  });
});

test('the token is in the mail alone', async () => {
  const { token, email } = await anInvitation(service, acme);
  expect(await placesNaming(service.db, token)).toEqual([]);
  const stored = await service.db.collection('invitations').findOne({ email });
  expectProblem(await lookUp(service, { token: stored?.token_hash }), 404, 'invitation_not_found');
});

describe('bad input', () => {
  test.each([
    [{}, ['/email', '/role']],
    [{ email: 'x', role: 'viewer' }, ['/email']],
    [{ email: 'a@b.example,c@d.example', role: 'viewer' }, ['/email']],
    [{ email: { $gt: '' }, role: 'viewer' }, ['/email']],
    [{ email: null, role: null }, ['/email', '/role']],
    [{ email: 'a@b.example', role: 'Not A Role' }, ['/role']],
    [{ email: 'a@b.example', role: ['viewer'] }, ['/role']],
    [{ email: 'a@b.example', role: 'viewer', state: 'accepted' }, ['/state']],
  ])('an invitation %j', async (body, paths) => {
    await changingNothing(service.db, async () => {
      const problem = expectProblem(
        await invite(service, acme.auth, body),
        422,
        'validation_failed',
      );
      expect(pathsOf(problem)).toEqual(paths);
    });
  });

  test.each([
    [{}, '/token'],
    [{ token: '' }, '/token'],
    [{ token: 'x'.repeat(129) }, '/token'],
    [{ token: { $ne: '' } }, '/token'],
    [{ token: null }, '/token'],
    [{ token: ['x'] }, '/token'],
    [{ token: 'x\0' }, '/token'],
    [{ token: 'x', extra: 1 }, '/extra'],
  ])('a token %j', async (body, path) => {
    await changingNothing(service.db, async () => {
      for (const send of [accept, lookUp]) {
        const problem = expectProblem(await send(service, body), 422, 'validation_failed');
        expect(pathsOf(problem)).toEqual([path]);
      }
    });
  });

  test.each(['x', 'ä', ' ', '$where', 'a'.repeat(43), 'a'.repeat(128)])(
    'the token %j is none',
    async (token) => {
      await changingNothing(service.db, async () => {
        expectProblem(await lookUp(service, { token }), 404, 'invitation_not_found');
        expectProblem(await accept(service, { token }), 404, 'invitation_not_found');
      });
    },
  );

  test.each(['x', '1', 'G'.repeat(24)])('the id %j', async (id) => {
    expectProblem(await revoke(service, acme.auth, id), 400, 'invalid_params');
    expectProblem(await resend(service, acme.auth, id), 400, 'invalid_params');
  });
});
