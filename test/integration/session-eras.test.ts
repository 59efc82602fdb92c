import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { changeMe, confirmEmail, forgot, me, reset } from '../support/account-links.ts';
import { apiOf, bearer } from '../support/api.ts';
import { Authenticator } from '../support/authenticator.ts';
import { Stopper } from '../support/crash.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import { authOf, somebodyNew } from '../support/invitations.ts';
import { tokenIn } from '../support/recording-mailer.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

// A test goes through every instant of an operation.
vi.setConfig({ testTimeout: 120_000 });

const NEXT = 'quite another passphrase';

let service: TestService;
/** Another instance, which is stopped. */
let stopped: TestService;
const stopper = new Stopper();
beforeAll(async () => {
  service = await startTestService();
  stopped = await startTestService({
    ...{ database: service.settings.masterDatabase, clock: service.clock, start: false },
    clientView: (client) => interceptCalls(client, stopper.around),
  });
});
afterAll(async () => {
  await stopper.release();
  await stopped[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const signIn = ({ signUp: { email } }: SignedUp, password: string) =>
  apiOf(service).login({ email, password });

async function signedInElsewhere(ada: SignedUp): Promise<{ refresh_token: string }> {
  return expectStatus(await signIn(ada, ada.signUp.password), 200).json();
}

async function refreshes({ refresh_token }: { refresh_token: string }): Promise<boolean> {
  return (await apiOf(service).refresh(refresh_token)).statusCode === 200;
}

async function enrolment(ada: SignedUp): Promise<Authenticator> {
  const { password: current_password } = ada.signUp;
  const begun = await apiOf(service).beginTotp({ current_password }, bearer(ada.tokens));
  return new Authenticator(expectStatus(begun, 200).json().otpauth_uri, service.clock);
}

describe('an instance that dies at any instant', () => {
  /** @param change - made on the stopped instance; @param isMade - whether it has been made */
  async function leavesNoSession(
    prepare: (ada: SignedUp) => Promise<() => Promise<unknown>>,
    isMade: (ada: SignedUp) => Promise<boolean>,
  ): Promise<void> {
    const outcomes = new Set<boolean>();
    for (let reply = 1; ; reply += 1) {
      const ada = await signUpAndIn(service);
      const other = await signedInElsewhere(ada);
      const change = await prepare(ada);
      const course = await stopper.during({ reply }, change);
      const made = await isMade(ada);
      outcomes.add(made);
      if (made) expect(await refreshes(other), `reply ${reply}`).toBe(false);
      await stopper.release();
      if (course.kind === 'ended') break;
    }
    expect(outcomes).toEqual(new Set([true, false]));
  }

  test('of a change of password leaves no session of the old one', async () => {
    await leavesNoSession(
      async ({ auth, signUp: { password } }) =>
        () =>
          changeMe(stopped, auth, { current_password: password, password: NEXT }),
      async (ada) => (await signIn(ada, NEXT)).statusCode === 200,
    );
  });

  test('of a reset leaves no session of the old password', async () => {
    await leavesNoSession(
      async ({ signUp: { email } }) => {
        expectStatus(await forgot(service, { email }), 202);
        await service.services.mailTasks.idle();
        const token = tokenIn(service.mails.to(email));
        return () => reset(stopped, { token, password: NEXT });
      },
      async (ada) => (await signIn(ada, NEXT)).statusCode === 200,
    );
  });

  test('of putting a second factor in force leaves no session without it', async () => {
    await leavesNoSession(
      async (ada) => {
        const code = (await enrolment(ada)).code();
        return () => apiOf(stopped).confirmTotp({ code }, bearer(ada.tokens));
      },
      async (ada) => (await signIn(ada, ada.signUp.password)).statusCode === 401,
    );
  });
});

describe('a sign-in that is under way', () => {
  async function isShutOutBy(
    change: (ada: SignedUp) => Promise<() => Promise<unknown>>,
  ): Promise<void> {
    for (let reply = 1; ; reply += 1) {
      const ada = await signUpAndIn(service);
      const make = await change(ada);
      const { email, password } = ada.signUp;
      const course = await stopper.during({ reply }, () =>
        apiOf(stopped).login({ email, password }),
      );
      await make();
      const login = course.kind === 'ended' ? course.result : await course.wakeUp();
      if (login.statusCode === 200)
        expect(await refreshes(login.json()), `reply ${reply}`).toBe(false);
      expectStatus(await me(service, ada.auth), 200);
      if (course.kind === 'ended') return;
    }
  }

  test('with the old password does not outlive the new one', () =>
    isShutOutBy(async ({ auth, signUp: { password: current_password } }) => async () => {
      expectStatus(await changeMe(service, auth, { current_password, password: NEXT }), 200);
    }));

  test('with the password alone does not outlive the second factor', () =>
    isShutOutBy(async (ada) => {
      const code = (await enrolment(ada)).code();
      return async () => {
        expectStatus(await apiOf(service).confirmTotp({ code }, bearer(ada.tokens)), 200);
      };
    }));
});

test('an address that was asked for with the password alone is not confirmed once there is a second factor', async () => {
  const ada = await signUpAndIn(service);
  const { email, password: current_password } = ada.signUp;
  const thief = expectStatus(await signIn(ada, current_password), 200).json();
  const theirs = somebodyNew();
  expectStatus(await changeMe(service, authOf(thief), { current_password, email: theirs }), 200);
  const code = (await enrolment(ada)).code();
  expectStatus(await apiOf(service).confirmTotp({ code }, bearer(ada.tokens)), 200);
  const confirmed = await confirmEmail(service, { token: tokenIn(service.mails.to(theirs)) });
  expect(confirmed.statusCode).toBe(422);
  expect(expectStatus(await me(service, ada.auth), 200).json().email).toBe(email);
});
