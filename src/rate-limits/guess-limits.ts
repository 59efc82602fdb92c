import type { ObjectId } from 'mongodb';
import type { AccountStore } from '../admins/account-store.ts';
import type { AccountDocument } from '../admins/admin-document.ts';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import { GUESS_POLICIES, PAIR_RULE } from './guess-policies.ts';
import type { KnownNetworks } from './known-networks.ts';
import type { LimitKeys } from './limit-keys.ts';
import { type LimitPolicy, reportLimit } from './limit-reports.ts';
import { networkOf } from './network.ts';
import { TooManyAttemptsError } from './rate-limit-errors.ts';
import type { Count, Counted, RateLimitStore } from './rate-limit-store.ts';
import { secondsUntil } from './route-limits.ts';
import type { Turns } from './turns.ts';

/** Whose password is tried, and from where. */
export interface Attempt {
  /** Normalised; of an account or of none. */
  email: string;
  address: string;
}

interface GuessLimitsDeps {
  store: RateLimitStore;
  keys: LimitKeys;
  accounts: AccountStore;
  /** Tells accounts of one kind from those of another with the same address; empty for admins. */
  kind?: string;
  knownNetworks: KnownNetworks;
  turns: Turns;
  clock: Clock;
  ids: IdSource;
  /** Off: every attempt is let through. */
  enabled: boolean;
}

/** What an attempt is counted under. */
interface Counters {
  pair: Counted & { account: string };
  address: Counted;
  account: Counted;
}

/**
 * Keeps people from guessing passwords and codes, on all instances together, without giving anybody a way to lock
 * somebody else out:
 *
 * - an account from one address: exact, for a place is taken before anything is compared. The only limit that a success
 *   resets, and the only one that grows;
 * - an address, over all accounts; and an account, over all addresses. Those two count failures once they are known, so
 *   they may be overdrawn by what is being compared at that moment, which the queue for passwords bounds. A device whose
 *   network the account was used from lately is not held by the latter, so that the owner gets in during an attack.
 *
 * An account that does not exist is counted like one that does. What is refused is not compared, so a refusal says nothing
 * about the password.
 *
 * @see OWASP ASVS 5.0, 6.1.1 and 6.3.1; NIST SP 800-63B-4, 3.2.2
 */
export class GuessLimits {
  readonly #deps: GuessLimitsDeps;

  constructor(deps: GuessLimitsDeps) {
    this.#deps = deps;
  }

  /**
   * Compares what was sent with what is stored, unless too much was tried before.
   *
   * @param compare - resolves if everything was right
   * @param isWrong - whether what it threw means a wrong guess. Anything else (the queue is full, the database away) does
   *   not count
   * @throws TooManyAttemptsError, and what `compare` and `turns` throw
   */
  async guard<T extends AccountDocument>(
    { email, address }: Attempt,
    compare: () => Promise<T>,
    isWrong: (error: unknown) => boolean,
  ): Promise<T> {
    if (!this.#deps.enabled) return compare();
    const network = networkOf(address);
    const counters = this.#countersOf(email, network);
    return this.#deps.turns.run(counters.pair.key, async () => {
      const attempt = await this.#admit(counters, email, network);
      let account: T;
      try {
        account = await compare();
      } catch (error) {
        if (isWrong(error)) await this.#countFailure(counters, attempt);
        else await this.#giveBack(counters, attempt);
        throw error;
      }
      await this.#succeed(counters, account, network);
      return account;
    });
  }

  /**
   * Forgets the failures on an account, and lets the person in from where they are although an attack goes on: for
   * somebody who has just proved who they are by other means, such as a link in a mail.
   */
  async forgive(account: AccountDocument, address: string): Promise<void> {
    const { store, keys, knownNetworks } = this.#deps;
    await store.forgetAccount(keys.of('account', this.#subject(account.email)));
    await knownNetworks.remember(account, networkOf(address));
  }

  #countersOf(email: string, network: string): Counters {
    const { keys } = this.#deps;
    const subject = this.#subject(email);
    const account = keys.of('account', subject);
    return {
      pair: { key: keys.of('pair', subject, network), account },
      address: { key: keys.of('address', network) },
      account: { key: keys.of('guesses', subject), account },
    };
  }

  /** No address has a space in it, so none of one kind is taken for one of another. */
  #subject(email: string): string {
    const { kind = '' } = this.#deps;
    return kind === '' ? email : `${kind} ${email}`;
  }

  /** @returns what names the attempt; @throws TooManyAttemptsError */
  async #admit(counters: Counters, email: string, network: string): Promise<ObjectId> {
    const { store, ids, clock } = this.#deps;
    const attempt = ids.objectId();
    const now = clock.now();
    const pair = await store.reserve(counters.pair, attempt, PAIR_RULE, now);
    this.#reportPair(pair);
    if (!pair.attempts.some((one) => one.equals(attempt)))
      throw new TooManyAttemptsError(secondsUntil(pair.blocked_until ?? now, now));
    try {
      await this.#assertWithinWindows(counters, email, network);
    } catch (error) {
      await this.#giveBack(counters, attempt);
      throw error;
    }
    return attempt;
  }

  async #assertWithinWindows(counters: Counters, email: string, network: string): Promise<void> {
    const { store, clock, knownNetworks, accounts } = this.#deps;
    const now = clock.now();
    const counts = await store.read([counters.address.key, counters.account.key], now);
    const address = counts.get(counters.address.key);
    this.#reportWindow(GUESS_POLICIES.address, address);
    if (address !== undefined && address.count >= GUESS_POLICIES.address.quota)
      throw new TooManyAttemptsError(secondsUntil(address.expires_at, now));
    const account = counts.get(counters.account.key);
    if (account === undefined || account.count < GUESS_POLICIES.account.quota) return;
    const found = await accounts.findByEmail(email);
    if (found !== null && knownNetworks.includes(found, network)) return;
    this.#reportWindow(GUESS_POLICIES.account, account);
    throw new TooManyAttemptsError(secondsUntil(account.expires_at, now));
  }

  async #countFailure({ address, account }: Counters, attempt: ObjectId): Promise<void> {
    const { store, clock } = this.#deps;
    const now = clock.now();
    const [ofAddress] = await Promise.all([
      store.count(address, attempt, GUESS_POLICIES.address, now),
      store.count(account, attempt, GUESS_POLICIES.account, now),
    ]);
    this.#reportWindow(GUESS_POLICIES.address, ofAddress);
  }

  async #giveBack({ pair }: Counters, attempt: ObjectId): Promise<void> {
    await this.#deps.store.giveBack(pair.key, attempt, PAIR_RULE.budget);
  }

  /** The counts of the address and of the account stay: else whoever has an account could reset them with it. */
  async #succeed({ pair }: Counters, account: AccountDocument, network: string): Promise<void> {
    const { store, knownNetworks } = this.#deps;
    await Promise.all([store.forget(pair.key), knownNetworks.remember(account, network)]);
    reportLimit({ policy: GUESS_POLICIES.pair, remaining: GUESS_POLICIES.pair.quota });
  }

  #reportPair({ count, blocked_until, expires_at }: Count): void {
    const now = this.#deps.clock.now();
    reportLimit({
      policy: GUESS_POLICIES.pair,
      remaining: Math.max(0, GUESS_POLICIES.pair.quota - count),
      resetSeconds: secondsUntil(blocked_until ?? expires_at, now),
    });
  }

  #reportWindow(policy: LimitPolicy, found: Count | undefined): void {
    reportLimit({
      policy,
      remaining: Math.max(0, policy.quota - (found?.count ?? 0)),
      ...(found && { resetSeconds: secondsUntil(found.expires_at, this.#deps.clock.now()) }),
    });
  }
}
