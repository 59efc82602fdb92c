import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions } from '../support/database-truth.ts';
import { signUpAndIn, someSignUp } from '../support/test-service.ts';

let cluster: Cluster;
let paused: Instance;
let other: Instance;
beforeAll(async () => {
  cluster = await Cluster.create();
  paused = await cluster.instance();
  other = await cluster.instance();
});
afterAll(() => cluster[Symbol.asyncDispose]());

const OBSTACLE = 'org_in_the_way';

async function signsIn(email: string, password: string): Promise<boolean> {
  const payload = { email, password };
  const answer = await other.app.inject({ method: 'POST', url: '/admin/login', payload });
  return answer.statusCode === 200;
}

/**
 * An instance finds a foreign collection in the way of a rename, and is paused at every instant of taking the new password
 * back. Meanwhile the obstacle goes away and another instance ends the update, one way or the other. Whatever the paused
 * one does when it wakes up, name and password are both the old ones or both the new ones.
 */
test('an update that one instance takes back and another could finish is all done, or not at all', async () => {
  const outcomes = new Set<string>();
  for (let reply = 1; ; reply += 1) {
    await cluster.empty();
    const { auth: headers, signUp } = await signUpAndIn(other);
    const { password } = someSignUp({ password: 'an entirely different passphrase' });
    const payload = { organization_name: 'In the way', password };
    const act = () => paused.app.inject({ method: 'PUT', url: '/org/update', headers, payload });
    const course = await paused.stopper.during({ point: 'update:credentials-changed' }, act);
    if (course.kind !== 'stopped') throw new Error('the update did not get that far');
    await cluster.db.createCollection(OBSTACLE);
    const further = await course.goOn({ reply });
    await cluster.db.dropCollection(OBSTACLE).catch(() => {});
    if (further.kind === 'ended') break;
    await cluster.expireLeases();
    await other.services.recovery.recoverExpired();
    await further.wakeUp();
    expect(await contradictions(cluster.db)).toEqual([]);
    const found = await other.app.inject({
      url: '/org/get',
      query: { organization_name: payload.organization_name },
    });
    const isNew = found.statusCode === 200;
    outcomes.add(isNew ? 'finished' : 'undone');
    expect(
      [await signsIn(signUp.email, password), await signsIn(signUp.email, signUp.password)],
      `reply ${reply}`,
    ).toEqual([isNew, !isNew]);
  }
  expect(outcomes).toEqual(new Set(['finished', 'undone']));
});
