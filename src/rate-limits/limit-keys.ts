import { createHmac } from 'node:crypto';
import type { DerivedKeys, ServiceKeys } from '../keys/service-keys.ts';

/**
 * Names for what is counted, that tell nobody who has only the database which address or account they are about: keyed
 * hashes (HMAC-SHA-256). Without the key, four billion IPv4 addresses would be tried in minutes.
 */
export class LimitKeys {
  readonly #keys: DerivedKeys;

  constructor(deps: { keys: ServiceKeys }) {
    this.#keys = deps.keys.derive('rate limits');
  }

  /** @param parts - what is counted, and of whom; the order counts */
  of(...parts: readonly string[]): string {
    return keyedHash(this.#keys[0], parts);
  }

  /** As {@link of}, and as it was under the secrets used before, for what is remembered for long. */
  everOf(...parts: readonly string[]): string[] {
    return this.#keys.map((key) => keyedHash(key, parts));
  }
}

function keyedHash(key: Buffer, parts: readonly string[]): string {
  // JSON, so that no two lists of parts run together into one text.
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url');
}
