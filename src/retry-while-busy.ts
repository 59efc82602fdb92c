import { setTimeout as delay } from 'node:timers/promises';
import type { AppError } from './errors.ts';

const ATTEMPTS = 20;
const PAUSE_MS = 50;

/**
 * Changes to one thing happen one after the other. An attempt that finds it changed or busy returns null; it is made again
 * for about a second, which is many times what a change takes.
 *
 * @param busy - makes the error when it stays busy
 */
export async function retryWhileBusy<T>(
  attempt: () => Promise<T | null>,
  busy: () => AppError,
): Promise<T> {
  for (let made = 0; made < ATTEMPTS; made += 1) {
    const result = await attempt();
    if (result !== null) return result;
    await delay(PAUSE_MS);
  }
  throw busy();
}
