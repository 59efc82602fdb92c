import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Binary, type ObjectId } from 'mongodb';
import type { DerivedKeys, ServiceKeys } from '../keys/service-keys.ts';

const CIPHER = 'aes-256-gcm';
/** The length for which GCM is specified without a hash of its own (NIST SP 800-38D, 8.2.2). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** What RFC 4226, section 4 (R6) recommends, and the block of SHA-1. */
const SECRET_BYTES = 20;

/** A secret that was opened. */
export interface OpenedSecret {
  secret: Buffer;
  /** Whether it was sealed under a key that has been replaced, and should be sealed anew. */
  outdated: boolean;
}

/**
 * The secrets shared with authenticator apps, and their form in the database. A code cannot be checked against a hash, so
 * they are encrypted with AES-256-GCM under a key that is not in the database. The account's id is authenticated along:
 * a secret copied to another account opens nothing there.
 */
export class TotpSecrets {
  readonly #keys: DerivedKeys;

  constructor(deps: { keys: ServiceKeys }) {
    this.#keys = deps.keys.derive('tenantry totp secret');
  }

  /** @returns 160 random bits */
  generate(): Buffer {
    return randomBytes(SECRET_BYTES);
  }

  seal(secret: Buffer, adminId: ObjectId): Binary {
    const nonce = randomBytes(NONCE_BYTES);
    const options = { authTagLength: TAG_BYTES };
    const cipher = createCipheriv(CIPHER, this.#keys[0], nonce, options).setAAD(adminId.id);
    const encrypted = Buffer.concat([cipher.update(secret), cipher.final()]);
    return new Binary(Buffer.concat([nonce, encrypted, cipher.getAuthTag()]));
  }

  /** @returns undefined for what was not sealed for this account under one of the keys */
  open(sealed: Binary, adminId: ObjectId): OpenedSecret | undefined {
    const bytes = Buffer.from(sealed.value());
    if (bytes.length !== NONCE_BYTES + SECRET_BYTES + TAG_BYTES) return undefined;
    for (const key of this.#keys) {
      const secret = decrypt(bytes, key, adminId);
      if (secret !== undefined) return { secret, outdated: key !== this.#keys[0] };
    }
    return undefined;
  }
}

function decrypt(bytes: Buffer, key: Buffer, adminId: ObjectId): Buffer | undefined {
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), options);
  decipher.setAAD(adminId.id).setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([
      decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)),
      decipher.final(),
    ]);
  } catch {
    // Another key, another account, or changed bytes: GCM tells none from the other.
    return undefined;
  }
}
