import { createHmac, timingSafeEqual } from 'node:crypto';
import { ObjectId } from 'mongodb';
import type { DerivedKeys, ServiceKeys } from '../keys/service-keys.ts';

const ID_BYTES = 12;
const GENERATION_BYTES = 4;
const TAG_BYTES = 32;
const PAYLOAD_BYTES = ID_BYTES + GENERATION_BYTES;
const ENCODED_LENGTH = Math.ceil(((PAYLOAD_BYTES + TAG_BYTES) * 4) / 3);

/** Which token of which session it is. */
export interface RefreshTokenClaim {
  sessionId: ObjectId;
  /** 0 for the one of the sign-in, one more with every refresh. */
  generation: number;
}

/**
 * Refresh tokens: the session's id and the token's place in its line, sealed with HMAC-SHA-256 under a key that is not in
 * the database. So a copy of the database holds no token and nothing to make one from, and a token of any age can be
 * told from one that was never issued.
 */
export class RefreshTokens {
  readonly #keys: DerivedKeys;

  /** @param deps - `purpose`: what the key is derived for; tokens of one open nothing of another */
  constructor({
    keys,
    purpose = 'tenantry refresh token',
  }: { keys: ServiceKeys; purpose?: string }) {
    this.#keys = keys.derive(purpose);
  }

  issue({ sessionId, generation }: RefreshTokenClaim): string {
    const payload = Buffer.alloc(PAYLOAD_BYTES);
    payload.set(sessionId.id);
    payload.writeUInt32BE(generation, ID_BYTES);
    return Buffer.concat([payload, seal(payload, this.#keys[0])]).toString('base64url');
  }

  /** @returns what an issued token stands for; undefined for every other text */
  open(token: string): RefreshTokenClaim | undefined {
    if (token.length !== ENCODED_LENGTH) return undefined;
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length !== PAYLOAD_BYTES + TAG_BYTES) return undefined;
    const payload = bytes.subarray(0, PAYLOAD_BYTES);
    const tag = bytes.subarray(PAYLOAD_BYTES);
    if (!this.#keys.some((key) => timingSafeEqual(seal(payload, key), tag))) return undefined;
    return {
      sessionId: new ObjectId(payload.subarray(0, ID_BYTES)),
      generation: payload.readUInt32BE(ID_BYTES),
    };
  }
}

function seal(payload: Buffer, key: Buffer): Buffer {
  return createHmac('sha256', key).update(payload).digest();
}
