import { setTimeout as delay } from 'node:timers/promises';
import type { Db } from 'mongodb';
import { checkConsistency } from '../../support/consistency.ts';
import { type Finding, orphan } from '../../support/finding.ts';

/** How soon after a restart everything has to be consistent. */
const RECOVERY_LIMIT_MS = 5_000;
const POLL_MS = 50;

/**
 * Waits until a database is consistent. To be so too late is a finding, too.
 *
 * @param since - by `performance.now()`; the limit of 5 s counts from there
 * @param allowanceMs - added to the limit
 * @returns how many milliseconds after `since` it was, and what was still wrong at the limit
 */
export async function untilConsistent(
  db: Db,
  since: number,
  allowanceMs = 0,
): Promise<{ gapMs: number; findings: Finding[] }> {
  const limitMs = RECOVERY_LIMIT_MS + allowanceMs;
  for (;;) {
    const findings = await checkConsistency(db);
    const gapMs = performance.now() - since;
    if (gapMs > limitMs && findings.length === 0)
      findings.push(orphan(`consistent only after ${Math.round(gapMs)} ms`));
    if (findings.length === 0 || gapMs > limitMs) return { gapMs, findings };
    await delay(POLL_MS);
  }
}
