import type { DrillResult } from '../support/drill.ts';
import { type Audit, audit, type Settling, settle } from './audit.ts';
import type { DrillService } from './drill-service.ts';
import type { Ledger } from './ledger.ts';

const SHOWN = 5;
/**
 * Busy is an organization whose rename got no answer, until recovery has ended it; overloaded is an instance whose requests
 * pile up while the database is away.
 */
const EXPECTED = / (database_unavailable|operation_interrupted|organization_busy|overloaded)$/;

/** What a drill promises besides losing nothing, and did not keep. */
export class BrokenPromiseError extends Error {
  constructor(promise: string, seen: string) {
    super(`${promise}; seen: ${seen}`);
    this.name = 'BrokenPromiseError';
  }
}

/** @throws BrokenPromiseError unless the promise was kept */
export function promise(kept: boolean, what: string, seen: string | number): void {
  if (!kept) throw new BrokenPromiseError(what, String(seen));
}

/** What a drill's findings amount to, with the first of them in the notes. */
export function resultOf(
  about: Pick<DrillResult, 'name' | 'topology' | 'rounds' | 'longestGapMs'> & {
    acknowledged: number;
    notes: readonly string[];
  },
  { lost, ghosts }: Audit,
  orphans: readonly string[],
): DrillResult {
  const findings = [
    ...lost.map((one) => `lost: ${one}`),
    ...ghosts.map((one) => `ghost: ${one}`),
    ...orphans.map((one) => `orphan: ${one}`),
  ];
  return {
    ...about,
    lost: lost.length,
    ghosts: ghosts.length,
    orphans: orphans.length,
    notes: [...about.notes, ...findings.slice(0, SHOWN)],
  };
}

/** Waits for the lifecycle to settle and compares the database with what clients were told. */
export async function examine(
  service: DrillService,
  ledger: Ledger,
): Promise<{ settling: Settling; audit: Audit }> {
  promise(service.errors.length === 0, 'the service logs no error', service.errors[0] ?? '');
  const odd = [...ledger.refusals.keys()].filter((kind) => !EXPECTED.test(kind));
  promise(odd.length === 0, 'refusals say that the database is away', odd.join(', '));
  return { settling: await settle(service.db), audit: await audit(service.db, ledger) };
}
