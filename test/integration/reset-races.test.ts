import { beforeAll, expect, test, vi } from 'vitest';
import { forgot, reset } from '../support/account-links.ts';
import { apiOf, bearer } from '../support/api.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { RecordingMailer, tokenIn } from '../support/recording-mailer.ts';
import { expectStatus, signUpAndIn } from '../support/test-service.ts';

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

/** Somebody with a link for a new password. */
async function forgetful() {
  await cluster.empty();
  const ada = await signUpAndIn(second);
  const { email, password } = ada.signUp;
  expectStatus(await forgot(second, { email }), 202);
  await second.services.mailTasks.idle();
  return { email, password, token: tokenIn(mails.to(email)), options: bearer(ada.tokens) };
}

test('an update that was under way does not undo a reset of the password', async () => {
  const answers = new Set<number>();
  for (let reply = 1; ; reply += 1) {
    const { email, token, options } = await forgetful();
    const course = await first.stopper.during({ reply }, () =>
      apiOf(first).update({ password: 'of the thief, not of ada' }, options),
    );
    const done = await reset(second, { token, password: NEXT });
    if (course.kind === 'stopped') await course.wakeUp();
    const login = await apiOf(second).login({ email, password: NEXT });
    if (done.statusCode === 204) expect(login.statusCode, `reply ${reply}`).toBe(200);
    answers.add(done.statusCode);
    if (course.kind === 'ended') break;
  }
  expect(answers).toContain(204);
});

/** The instance dies a call after the one at which somebody else signs in. */
test('a reset that dies leaves no session of who signed in just before the new password', async () => {
  const outcomes = new Set<string>();
  for (let reply = 1; ; reply += 1) {
    const { email, password, token } = await forgetful();
    const course = await first.stopper.during({ reply }, () =>
      reset(first, { token, password: NEXT }),
    );
    if (course.kind === 'ended') break;
    const thief = await apiOf(second).login({ email, password });
    await course.goOn({ reply: 1 });
    const changed = (await apiOf(second).login({ email, password: NEXT })).statusCode === 200;
    const stays =
      thief.statusCode === 200 &&
      (await apiOf(second).refresh(thief.json().refresh_token)).statusCode === 200;
    outcomes.add(`changed: ${changed}, stays: ${stays}`);
  }
  expect([...outcomes].sort()).toEqual([
    'changed: false, stays: true',
    'changed: true, stays: false',
  ]);
});
