import { AsyncLocalStorage } from 'node:async_hooks';

/** A limit, as clients are told of it. */
export interface LimitPolicy {
  /** Visible ASCII without quotes. */
  name: string;
  quota: number;
  /** Absent where the count has no fixed window. */
  windowSeconds?: number;
}

/** How much of a limit was left for a request. */
export interface LimitReport {
  policy: LimitPolicy;
  remaining: number;
  /** Seconds until there is more; absent when nothing is used up. */
  resetSeconds?: number;
}

/** The limits that one request has met, the latest report on each. */
export type LimitReports = Map<string, LimitReport>;

const current = new AsyncLocalStorage<LimitReports>();

/** Has every limit that `work` meets be noted in `reports`, however deep inside the services. */
export function collectingReports<T>(reports: LimitReports, work: () => T): T {
  return current.run(reports, work);
}

/** Notes how much of a limit is left, for the headers of the answer. */
export function reportLimit(report: LimitReport): void {
  current.getStore()?.set(report.policy.name, report);
}
