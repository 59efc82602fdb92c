import type { LightMyRequestResponse } from 'fastify';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { changeMe, confirmEmail, forgot, me, reset } from '../support/account-links.ts';
import { apiOf, bearer } from '../support/api.ts';
import { Authenticator } from '../support/authenticator.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import type { Course } from '../support/crash.ts';
import { authOf, somebodyNew } from '../support/invitations.ts';
import { RecordingMailer, tokenIn } from '../support/recording-mailer.ts';
import { expectStatus, type SignedUp, signUpAndIn } from '../support/test-service.ts';

// A test goes through every instant of an operation.
vi.setConfig({ testTimeout: 120_000 });

const NEXT = 'quite another passphrase';
const mails = new RecordingMailer();

let cluster: Cluster;
/** Is stopped at every call in turn. */
let first: Instance;
let second: Instance;
beforeAll(async () => {
  cluster = await Cluster.create();
  first = await cluster.instance({ mailer: mails });
  second = await cluster.instance({ mailer: mails });
  return () => cluster[Symbol.asyncDispose]();
});

type Act = () => Promise<LightMyRequestResponse>;

/** Somebody else's session, made with the same password. */
async function signIn({ signUp: { email, password } }: SignedUp) {
  return apiOf(second).login({ email, password });
}

const signsIn = async (email: string, password: string) =>
  (await apiOf(second).login({ email, password })).statusCode === 200;

/** Whether what somebody got by signing in is still a session. */
async function stays(login: LightMyRequestResponse): Promise<boolean> {
  if (login.statusCode !== 200) return false;
  return (await apiOf(second).refresh(login.json().refresh_token)).statusCode === 200;
}

async function resetTokenOf({ signUp: { email } }: SignedUp): Promise<string> {
  expectStatus(await forgot(second, { email }), 202);
  await second.services.mailTasks.idle();
  return tokenIn(mails.to(email));
}

/** Begins to set a second factor up. @returns the code that puts it in force */
async function pendingCodeOf({ signUp, tokens }: SignedUp): Promise<string> {
  const body = { current_password: signUp.password };
  const begun = expectStatus(await apiOf(second).beginTotp(body, bearer(tokens)), 200).json();
  return new Authenticator(begun.otpauth_uri, cluster.clock).code();
}

/**
 * Stops the first instance at every reply of the database that an operation gets.
 *
 * @param prepare - gives the operation, for a person who has just signed up
 * @returns how many replies there were
 */
async function atEveryReply(
  prepare: (ada: SignedUp) => Promise<Act>,
  examine: (course: Course<LightMyRequestResponse>, ada: SignedUp, reply: number) => Promise<void>,
): Promise<number> {
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const ada = await signUpAndIn(second);
    const course = await first.stopper.during({ reply }, await prepare(ada));
    await examine(course, ada, reply);
    if (course.kind === 'ended') return reply;
  }
}

const ending = (course: Course<LightMyRequestResponse>) =>
  course.kind === 'stopped' ? course.wakeUp() : course.result;

describe('an instance that dies in the middle', () => {
  test('of a change of password leaves the other sessions and the old password, or neither', async () => {
    let thief: LightMyRequestResponse | undefined;
    const outcomes = new Set<string>();
    const change = { password: NEXT };
    await atEveryReply(
      async (ada) => {
        thief = expectStatus(await signIn(ada), 200);
        const body = { ...change, current_password: ada.signUp.password };
        return () => changeMe(first, ada.auth, body);
      },
      async (_, { signUp: { email } }) => {
        if (thief === undefined) throw new Error('nobody has signed in');
        outcomes.add(`changed: ${await signsIn(email, NEXT)}, stays: ${await stays(thief)}`);
      },
    );
    expect([...outcomes].sort()).toEqual([
      'changed: false, stays: true',
      'changed: true, stays: false',
    ]);
  });

  test('of putting a second factor in force leaves no session without it', async () => {
    let thief: LightMyRequestResponse | undefined;
    const outcomes = new Set<string>();
    await atEveryReply(
      async (ada) => {
        thief = expectStatus(await signIn(ada), 200);
        const code = await pendingCodeOf(ada);
        return () => apiOf(first).confirmTotp({ code }, bearer(ada.tokens));
      },
      async (_, { signUp: { email, password } }) => {
        if (thief === undefined) throw new Error('nobody has signed in');
        const inForce = !(await signsIn(email, password));
        outcomes.add(`in force: ${inForce}, stays: ${await stays(thief)}`);
      },
    );
    expect([...outcomes].sort()).toEqual([
      'in force: false, stays: true',
      'in force: true, stays: false',
    ]);
  });

  test('of a reset, a call after somebody signed in with the old password, leaves them no session', async () => {
    await atEveryReply(
      async (ada) => {
        const token = await resetTokenOf(ada);
        return () => reset(first, { token, password: NEXT });
      },
      async (course, ada, reply) => {
        if (course.kind === 'ended') return;
        const thief = await signIn(ada);
        await course.goOn({ reply: 1 });
        const changed = await signsIn(ada.signUp.email, NEXT);
        const both = changed && (await stays(thief));
        expect(both, `reply ${reply}`).toBe(false);
      },
    );
  });
});

test('a sign-in by the password alone does not outlive the second factor that comes meanwhile', async () => {
  const statuses = new Set<number>();
  const replies = await atEveryReply(
    async ({ signUp: { email, password } }) => {
      return () => apiOf(first).login({ email, password });
    },
    async (course, ada, reply) => {
      const code = await pendingCodeOf(ada);
      expectStatus(await apiOf(second).confirmTotp({ code }, bearer(ada.tokens)), 200);
      const login = await ending(course);
      statuses.add(login.statusCode);
      expect(await stays(login), `reply ${reply}`).toBe(false);
    },
  );
  expect(replies).toBeGreaterThan(2);
  expect(statuses).toContain(200);
});

test('an update that was under way does not undo a reset of the password', async () => {
  let token = '';
  const replies = await atEveryReply(
    async (ada) => {
      token = await resetTokenOf(ada);
      const body = { password: 'of the thief, not of ada' };
      return () => apiOf(first).update(body, bearer(ada.tokens));
    },
    async (course, { signUp: { email } }, reply) => {
      const done = await reset(second, { token, password: NEXT });
      await ending(course);
      if (done.statusCode === 204) expect(await signsIn(email, NEXT), `reply ${reply}`).toBe(true);
    },
  );
  expect(replies).toBeGreaterThan(5);
});

test('an address asked for by the password alone is not confirmed once there is a second factor', async () => {
  const ada = await signUpAndIn(second);
  const { email, password: current_password } = ada.signUp;
  const theirs = somebodyNew();
  const thief = authOf(expectStatus(await signIn(ada), 200).json());
  expectStatus(await changeMe(second, thief, { current_password, email: theirs }), 200);
  const code = await pendingCodeOf(ada);
  expectStatus(await apiOf(second).confirmTotp({ code }, bearer(ada.tokens)), 200);
  expectStatus(await confirmEmail(second, { token: tokenIn(mails.to(theirs)) }), 422);
  expect(expectStatus(await me(second, ada.auth), 200).json()).toMatchObject({ email });
});
