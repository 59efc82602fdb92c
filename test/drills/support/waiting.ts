import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 25;

/**
 * Asks again and again until there is an answer. Drills are about real time: this is their only way of waiting.
 *
 * @returns the first answer that is not undefined; @throws Error when there is none in time
 */
export async function until<T>(
  what: string,
  withinMs: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await delay(POLL_MS);
  }
}

/** As {@link until}, for a condition. */
export async function untilTrue(
  what: string,
  withinMs: number,
  holds: () => Promise<boolean>,
): Promise<void> {
  await until(what, withinMs, async () => ((await holds()) ? true : undefined));
}

/**
 * Works through a list, `lanes` items at a time: most of a round is waiting for a lease to run out.
 */
export async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  lane: (next: () => T | undefined, index: number) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: Math.min(lanes, items.length) }, (_, index) =>
      lane(() => queue.shift(), index),
    ),
  );
}
