import { ObjectId } from 'mongodb';
import { beforeEach, expect, test } from 'vitest';
import { AccessCache, type Lookup, MAX_AGE_MS } from '../../../src/access/access-cache.ts';

const ID = new ObjectId();
const OTHER = new ObjectId();

let now: number;
let seenUntilMs: number;
let reads: number;
let cache: AccessCache<number>;
beforeEach(() => {
  now = 10_000;
  seenUntilMs = Number.NEGATIVE_INFINITY;
  reads = 0;
  cache = cacheOf();
});

function cacheOf(maxEntries?: number): AccessCache<number> {
  return new AccessCache({
    clock: { now: () => new Date(now), monotonicMs: () => now },
    horizon: {
      get seenUntilMs() {
        return seenUntilMs;
      },
    },
    ...(maxEntries !== undefined && { maxEntries }),
  });
}

/** Gives how often it was asked. */
async function read(): Promise<Lookup<number>> {
  reads += 1;
  return { value: reads, dependsOn: [ID] };
}

test('what was read is given again for as long as it may be old', async () => {
  expect(await cache.get('a', read)).toBe(1);
  now += MAX_AGE_MS - 1;
  expect(await cache.get('a', read)).toBe(1);
  now += 1;
  expect(await cache.get('a', read)).toBe(2);
});

test('and for as long as every change since is known', async () => {
  await cache.get('a', read);
  now += 3_600_000;
  seenUntilMs = now - MAX_AGE_MS + 1;
  expect(await cache.get('a', read)).toBe(1);
  now += 1;
  expect(await cache.get('a', read)).toBe(2);
});

test('keys have answers of their own', async () => {
  expect([await cache.get('a', read), await cache.get('b', read)]).toEqual([1, 2]);
});

test('a change of what it was made of takes it back, another one does not', async () => {
  await cache.get('a', read);
  cache.invalidate([OTHER]);
  expect(await cache.get('a', read)).toBe(1);
  cache.invalidate([ID]);
  expect(await cache.get('a', read)).toBe(2);
});

test('a gap takes everything back', async () => {
  await cache.get('a', read);
  cache.clear();
  expect(await cache.get('a', read)).toBe(2);
});

test('what was read before a change is not kept, whatever changed', async () => {
  const gate = Promise.withResolvers<Lookup<number>>();
  const reading = cache.get('a', () => gate.promise);
  cache.invalidate([OTHER]);
  gate.resolve({ value: 100, dependsOn: [ID] });
  expect(await reading).toBe(100);
  expect(await cache.get('a', read)).toBe(1);
});

test('who asks during a reading gets its answer, unless something changed since it began', async () => {
  const gate = Promise.withResolvers<Lookup<number>>();
  const first = cache.get('a', () => gate.promise);
  const second = cache.get('a', read);
  cache.invalidate([OTHER]);
  const third = cache.get('a', read);
  gate.resolve({ value: 100, dependsOn: [ID] });
  expect([await first, await second, await third]).toEqual([100, 100, 1]);
});

test('who asks during a reading that hangs reads anew', async () => {
  const hanging = cache.get('a', () => new Promise<Lookup<number>>(() => {}));
  now += MAX_AGE_MS;
  expect(await cache.get('a', read)).toBe(1);
  expect(hanging).toBeInstanceOf(Promise);
});

test('a failure is not kept', async () => {
  const failing = async () => {
    throw new Error('no');
  };
  await expect(cache.get('a', failing)).rejects.toThrow('no');
  expect(await cache.get('a', read)).toBe(1);
});

test('what must not be kept is not', async () => {
  await cache.get('a', async () => ({ value: 100, dependsOn: null }));
  expect(await cache.get('a', read)).toBe(1);
});

test('the oldest give way, and what they were made of is forgotten with them', async () => {
  cache = cacheOf(10);
  for (let n = 0; n < 1_000; n += 1) await cache.get(`key ${n}`, read);
  expect(await cache.get('key 999', read)).toBe(1_000);
  expect(await cache.get('key 0', read)).toBe(1_001);
  cache.invalidate([ID]);
  expect(await cache.get('key 999', read)).toBe(1_002);
});
