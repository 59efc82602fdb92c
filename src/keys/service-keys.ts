import { hkdfSync } from 'node:crypto';

const KEY_BYTES = 32;

/** A key for each secret there is: the present one first, then those that were in use before. */
export type DerivedKeys = readonly [current: Buffer, ...previous: Buffer[]];

/**
 * The keys that are derived from the service's secrets with HKDF-SHA-256 (RFC 5869), one for each purpose, so that what
 * is made for one purpose is worth nothing for another.
 *
 * Make things with the first key, and accept those that any of the keys made: so a secret can be replaced without ending
 * every session or losing every second factor.
 */
export class ServiceKeys {
  readonly #secrets: readonly [string, ...string[]];

  /** @param secrets - `JWT_SECRET`, and those it has replaced */
  constructor(secrets: { current: string; previous?: readonly string[] }) {
    this.#secrets = [secrets.current, ...(secrets.previous ?? [])];
  }

  /** @param purpose - unique to what the keys are for, and never changed: other keys come of it */
  derive(purpose: string): DerivedKeys {
    const [current, ...previous] = this.#secrets;
    return [keyOf(current, purpose), ...previous.map((secret) => keyOf(secret, purpose))];
  }
}

function keyOf(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', purpose, KEY_BYTES));
}
