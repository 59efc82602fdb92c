import type { MongoClient } from 'mongodb';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isDatabaseUnavailable } from '../../src/database/database-errors.ts';
import { whileAlive } from '../../src/database/time-limit.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A client of whose database all is known that `whileAlive` asks. */
function clientOf(ping: () => Promise<unknown>): { client: MongoClient; pings: () => number } {
  let pings = 0;
  const command = () => {
    pings += 1;
    return ping();
  };
  const client = { db: () => ({ command }) } as unknown as MongoClient;
  return { client, pings: () => pings };
}

/** A command that ends when it is told to, with the reason. */
const endless = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });

/** When it ended, and why. */
async function endOf(command: Promise<unknown>, withinMs: number) {
  const startedAt = performance.now();
  const ended = command.then(
    () => undefined,
    (error: unknown) => ({ error, afterMs: Math.round(performance.now() - startedAt) }),
  );
  await vi.advanceTimersByTimeAsync(withinMs);
  return ended;
}

test('a command on a database that hangs is given up within 3 s, whatever its limit', async () => {
  const silence = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  const { client } = clientOf(
    () => new Promise((_resolve, reject) => setTimeout(() => reject(silence), 1_250)),
  );
  for (const limitMs of [5_000, Number.POSITIVE_INFINITY]) {
    const end = await endOf(whileAlive(client, limitMs, endless), 3_000);
    expect(end?.afterMs).toBeLessThanOrEqual(2_300);
    expect(isDatabaseUnavailable(end?.error)).toBe(true);
  }
});

test('a command on a database that answers may take its limit, and a moment for the answer', async () => {
  const { client, pings } = clientOf(async () => ({ ok: 1 }));
  const end = await endOf(whileAlive(client, 5_000, endless), 10_000);
  expect(end?.afterMs).toBe(6_500);
  expect(pings()).toBe(6);
});

test('without a limit it may take for ever', async () => {
  const { client } = clientOf(async () => ({ ok: 1 }));
  let ended = false;
  let answer = (_reply: string) => {};
  const command = whileAlive(client, Number.POSITIVE_INFINITY, () => {
    return new Promise<string>((resolve) => {
      answer = resolve;
    });
  }).finally(() => {
    ended = true;
  });
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(ended).toBe(false);
  answer('done');
  expect(await command).toBe('done');
});

test('one pulse serves all commands, and ends with the last', async () => {
  const { client, pings } = clientOf(async () => ({ ok: 1 }));
  const commands = Array.from({ length: 50 }, () => endOf(whileAlive(client, 2_000, endless), 0));
  await vi.advanceTimersByTimeAsync(60_000);
  await Promise.all(commands);
  expect(pings()).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
});
