import type { LimitPolicy } from './limit-reports.ts';
import type { BlockRule } from './rate-limit-store.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Windows of the limits over all addresses, and over all accounts. Also the longest that anybody is ever made to wait. */
const GUESS_WINDOW_SECONDS = 15 * 60;

/**
 * One account from one address. After ten failures each further one blocks for twice as long, up to a quarter of an hour:
 * 96 guesses a day. Forgotten after a day, so that waiting for that is slower still.
 */
export const PAIR_RULE: BlockRule = {
  budget: 10,
  blocksMs: [1 * MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 15 * MINUTE],
  memoryMs: 24 * 60 * MINUTE,
};

/** The three limits on failed attempts, as clients are told of them. */
export const GUESS_POLICIES = {
  pair: { name: 'guesses', quota: PAIR_RULE.budget },
  /** One address, all accounts: lists of stolen passwords are tried like that. */
  address: { name: 'guesses-address', quota: 100, windowSeconds: GUESS_WINDOW_SECONDS },
  /** One account, all addresses: that takes many machines, so known devices are let through. */
  account: { name: 'guesses-account', quota: 30, windowSeconds: GUESS_WINDOW_SECONDS },
} as const satisfies Record<string, LimitPolicy>;
