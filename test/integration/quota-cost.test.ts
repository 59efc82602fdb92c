import { afterAll, beforeAll, expect, test } from 'vitest';
import { interceptCalls } from '../support/intercepted-client.ts';
import { idOf } from '../support/structure.ts';
import {
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let calls = 0;
let service: TestService;
let acme: SignedUp;
beforeAll(async () => {
  service = await startTestService({
    start: false,
    clientView: (client) =>
      interceptCalls(client, (call) => {
        calls += 1;
        return call();
      }),
  });
  acme = await signUpAndIn(service);
});
afterAll(() => service[Symbol.asyncDispose]());

/** How many commands so many writes cost beside themselves. */
async function costOf(writes: number): Promise<number> {
  const before = calls;
  for (let n = 0; n < writes; n += 1)
    await service.services.quotas.withRoom(idOf(acme), { records: 1, bytes: 1 }, async () => {});
  return calls - before;
}

test('a write costs nothing where there is no quota', async () => {
  expect(await costOf(1)).toBe(1);
  expect(await costOf(100)).toBe(0);
  service.clock.advance(1_000);
  expect(await costOf(100)).toBe(1);
});

test('and a measurement a second where there is one', async () => {
  await service.services.quotas.set(idOf(acme), { max_records: 1_000_000 });
  // The quota, where the collection is, what is in it.
  expect(await costOf(100)).toBe(3);
  expect(await costOf(100)).toBe(0);
  service.clock.advance(1_000);
  expect(await costOf(100)).toBe(2);
});
