import type { AccountStore } from '../admins/account-store.ts';
import type { AccountDocument } from '../admins/admin-document.ts';
import type { Clock } from '../clock.ts';
import type { LimitKeys } from './limit-keys.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
/** A network is known for so long after the last proof of a password from there. */
const KNOWN_MS = 30 * DAY_MS;
/** It is noted at most this often: a person who signs in all the time needs no write each time. */
const NOTED_EVERY_MS = DAY_MS;

/**
 * The networks from which people have proved their password lately. They are kept with the account, so that they go when
 * it goes, and as keyed hashes, so that nobody who reads the database learns where a person was.
 */
export class KnownNetworks {
  readonly #deps: { accounts: AccountStore; keys: LimitKeys; clock: Clock };

  constructor(deps: { accounts: AccountStore; keys: LimitKeys; clock: Clock }) {
    this.#deps = deps;
  }

  includes(account: Pick<AccountDocument, '_id' | 'known_networks'>, network: string): boolean {
    return this.#isNoted(account, this.#deps.keys.everOf(...partsOf(account, network)), KNOWN_MS);
  }

  async remember(
    account: Pick<AccountDocument, '_id' | 'known_networks'>,
    network: string,
  ): Promise<void> {
    const { accounts, keys, clock } = this.#deps;
    const hash = keys.of(...partsOf(account, network));
    if (this.#isNoted(account, [hash], NOTED_EVERY_MS)) return;
    await accounts.rememberNetwork(account._id, hash, clock.now());
  }

  #isNoted(
    { known_networks = [] }: Pick<AccountDocument, 'known_networks'>,
    hashes: readonly string[],
    withinMs: number,
  ): boolean {
    const since = this.#deps.clock.now().getTime() - withinMs;
    return known_networks.some(
      (one) => hashes.includes(one.network) && one.proved_at.getTime() > since,
    );
  }
}

function partsOf({ _id }: Pick<AccountDocument, '_id'>, network: string) {
  return ['known network', _id.toHexString(), network] as const;
}
