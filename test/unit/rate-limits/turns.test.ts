import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, test } from 'vitest';
import { Turns } from '../../../src/rate-limits/turns.ts';

class Full extends Error {}
const turnsWith = (maxWaiting: number) => new Turns({ maxWaiting, tooMany: () => new Full() });

test('about one subject two things are done at once, about others as well', async () => {
  const turns = turnsWith(100);
  let [running, most] = [0, 0];
  const work = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise(setImmediate);
    running -= 1;
  };
  await Promise.all(Array.from({ length: 10 }, () => turns.run('a', work)));
  expect(most).toBe(2);
  await Promise.all(['a', 'b', 'c'].flatMap((one) => [turns.run(one, work), turns.run(one, work)]));
  expect(most).toBe(6);
});

test('what fails makes room for the next, and its error is its own', async () => {
  const turns = turnsWith(100);
  const fails = (n: number) => turns.run('a', () => Promise.reject(new Error(`${n}`)));
  const results = await Promise.allSettled([0, 1, 2, 3].map(fails));
  const reasons = results.map((one) => one.status === 'rejected' && one.reason.message);
  expect(reasons).toEqual(['0', '1', '2', '3']);
  expect(await turns.run('a', async () => 'done')).toBe('done');
});

test('too many that wait are refused at once', async () => {
  const turns = turnsWith(3);
  const settled = await Promise.allSettled(
    Array.from({ length: 10 }, () => turns.run('a', async () => 'done')),
  );
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
  for (const one of settled) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(Full);
});

test('nothing is kept of a subject that nothing is done about', async () => {
  const turns = turnsWith(1);
  const names = Array.from({ length: 50 }, (_, n) => `subject ${n}`);
  await Promise.allSettled(
    names.flatMap((name) =>
      Array.from({ length: 5 }, () => turns.run(name, () => Promise.reject(new Error('no')))),
    ),
  );
  expect(turns.subjects).toBe(0);
});

test('who waited goes on in their own context', async () => {
  const turns = turnsWith(100);
  const context = new AsyncLocalStorage<number>();
  const seen = await Promise.all(
    Array.from({ length: 6 }, (_, n) =>
      context.run(n, () =>
        turns.run('a', async () => {
          await new Promise(setImmediate);
          return context.getStore();
        }),
      ),
    ),
  );
  expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
});
