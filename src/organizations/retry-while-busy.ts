import { setTimeout as delay } from 'node:timers/promises';
import { OrganizationBusyError } from '../registry/registry-errors.ts';

const ATTEMPTS = 20;
const PAUSE_MS = 50;

/**
 * Changes to one organization happen one after the other. An attempt that finds the organization changed or busy returns
 * null; it is made again for about a second, which is many times what a change takes.
 *
 * @throws OrganizationBusyError when the organization stays busy
 */
export async function retryWhileBusy<T>(attempt: () => Promise<T | null>): Promise<T> {
  for (let made = 0; made < ATTEMPTS; made += 1) {
    const result = await attempt();
    if (result !== null) return result;
    await delay(PAUSE_MS);
  }
  throw new OrganizationBusyError();
}
