import { MongoNetworkError, MongoServerError } from 'mongodb';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DatabaseUnavailableError, retryTransient } from '../../../src/database/database-errors.ts';
import { PATIENCE_MS, sharingPatience, withinDeadline } from '../../../src/database/deadline.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const CONNECTION_LOST = new MongoNetworkError('connection 1 to 127.0.0.1:27017 closed');

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** A database operation that gets no answer for so long, and then a connection that is lost. */
function silentFor(milliseconds: number): () => Promise<never> {
  return async () => {
    withinDeadline();
    await pause(milliseconds);
    throw CONNECTION_LOST;
  };
}

/** Lets all pauses pass. */
async function settled<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [[result]] = await Promise.all([Promise.allSettled([work]), vi.runAllTimersAsync()]);
  return result;
}

test('a step is repeated until it is answered', async () => {
  let attempts = 0;
  const step = async () => {
    attempts += 1;
    if (attempts < 3) throw CONNECTION_LOST;
    return 'answer';
  };
  expect(await settled(retryTransient(step))).toMatchObject({ value: 'answer' });
  expect(attempts).toBe(3);
});

test('attempts share one patience: together they take no longer than one that hangs', async () => {
  const start = performance.now();
  const result = await settled(retryTransient(silentFor(1_000)));
  expect(result).toMatchObject({ reason: expect.any(DatabaseUnavailableError) });
  // The last attempt is begun with patience left, and its own deadline would have ended it in time.
  expect(performance.now() - start).toBeLessThan(PATIENCE_MS + 1_000);
});

test('when the patience has run out, nothing more is sent for the same request', async () => {
  const sent = vi.fn();
  const [first, second] = await sharingPatience(async () => [
    await settled(retryTransient(silentFor(PATIENCE_MS))),
    await settled(
      retryTransient(async () => {
        withinDeadline();
        sent();
      }),
    ),
  ]);
  expect(first).toMatchObject({ reason: expect.any(DatabaseUnavailableError) });
  expect(second).toMatchObject({ reason: expect.any(DatabaseUnavailableError) });
  expect(sent).not.toHaveBeenCalled();
});

test('an answer, also one that refuses, renews the patience', async () => {
  const refusal = new MongoServerError({ message: 'E11000 duplicate key', code: 11000 });
  const result = await sharingPatience(async () => {
    const slowRefusal = async () => {
      await pause(PATIENCE_MS - 1);
      throw refusal;
    };
    expect(await settled(retryTransient(slowRefusal))).toMatchObject({ reason: refusal });
    return settled(retryTransient(async () => withinDeadline().signal?.aborted));
  });
  expect(result).toMatchObject({ value: false });
});

test('requests have a patience of their own', async () => {
  await sharingPatience(() => settled(retryTransient(silentFor(PATIENCE_MS))));
  const other = sharingPatience(() => settled(retryTransient(async () => withinDeadline())));
  expect(await other).toMatchObject({ status: 'fulfilled' });
});

test.each([
  ['a lost connection', CONNECTION_LOST],
  // What the driver throws when it writes to a socket whose other end has just been closed.
  ['a bare socket error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })],
  ['a step-down', new MongoServerError({ message: 'not primary', code: 10107 })],
  ['a pool that was closed', Object.assign(new Error(), { name: 'MongoPoolClosedError' })],
])('%s is reason to try again', async (_name, error) => {
  const step = vi.fn().mockRejectedValueOnce(error).mockResolvedValueOnce('answer');
  expect(await settled(retryTransient(step))).toMatchObject({ value: 'answer' });
});

test('an error that says nothing of the database is no reason to try again', async () => {
  const step = vi.fn().mockRejectedValue(new RangeError('a bug'));
  expect(await settled(retryTransient(step))).toMatchObject({ reason: expect.any(RangeError) });
  expect(step).toHaveBeenCalledOnce();
});
