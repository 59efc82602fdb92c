import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import type { LimitKeys } from './limit-keys.ts';
import { type LimitPolicy, reportLimit } from './limit-reports.ts';
import { RateLimitExceededError } from './rate-limit-errors.ts';
import type { RateLimitStore } from './rate-limit-store.ts';

/** What requests are counted by: where they come from, who sends them, or the account that their body names. */
export type LimitSubject = 'address' | 'caller' | 'organization' | 'email';

/** A limit on the requests to a route, whatever their outcome. */
export interface RoutePolicy extends LimitPolicy {
  by: LimitSubject;
  windowSeconds: number;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * The limits that a route can name in its `config.rateLimit`. They are generous, for behind one address there may be an
 * office, or a product's own server that acts for all of its customers.
 */
export const ROUTE_POLICIES = {
  /** Fills the cluster's capacity, and takes a password hash each. */
  signup: { name: 'signup', by: 'address', quota: 200, windowSeconds: HOUR },
  refresh: { name: 'refresh', by: 'address', quota: 3_000, windowSeconds: 15 * MINUTE },
  /** Each sends a mail to somebody who may not have asked for it. */
  passwordReset: { name: 'password-reset', by: 'address', quota: 20, windowSeconds: HOUR },
  passwordResetAccount: {
    name: 'password-reset-account',
    by: 'email',
    quota: 5,
    windowSeconds: HOUR,
  },
  invitation: { name: 'invitation', by: 'organization', quota: 200, windowSeconds: DAY },
  emailChange: { name: 'email-change', by: 'caller', quota: 5, windowSeconds: HOUR },
} as const satisfies Record<string, RoutePolicy>;

export type RoutePolicyName = keyof typeof ROUTE_POLICIES;

interface RouteLimitsDeps {
  store: RateLimitStore;
  keys: LimitKeys;
  clock: Clock;
  ids: IdSource;
  /** Off: nothing is counted. */
  enabled: boolean;
}

/** Counts the requests to limited routes, over all instances. */
export class RouteLimits {
  readonly #deps: RouteLimitsDeps;

  constructor(deps: RouteLimitsDeps) {
    this.#deps = deps;
  }

  get enabled(): boolean {
    return this.#deps.enabled;
  }

  /**
   * Counts one request, and reports what is left of the limit.
   *
   * @param subject - the address, or the id, that the policy counts by
   * @throws RateLimitExceededError
   */
  async take(policy: RoutePolicy, subject: string): Promise<void> {
    const { store, keys, clock, ids, enabled } = this.#deps;
    if (!enabled) return;
    const now = clock.now();
    const key = keys.of('route', policy.name, subject);
    const { count, expires_at } = await store.count({ key }, ids.objectId(), policy, now);
    const resetSeconds = secondsUntil(expires_at, now);
    reportLimit({ policy, remaining: Math.max(0, policy.quota - count), resetSeconds });
    if (count > policy.quota) throw new RateLimitExceededError(resetSeconds);
  }
}

/** Whole seconds, so that whoever waits for them does not come too early; at least one. */
export function secondsUntil(time: Date, now: Date): number {
  return Math.max(1, Math.ceil((time.getTime() - now.getTime()) / 1_000));
}
