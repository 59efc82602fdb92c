import { createHmac, randomInt } from 'node:crypto';
import type { ObjectId } from 'mongodb';
import type { DerivedKeys, ServiceKeys } from '../keys/service-keys.ts';

/** Crockford's base 32: no I, L, O and U, so that no letter is taken for a digit or another letter. */
export const RECOVERY_ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Of 5 bits each. From 112 bits on, a fast hash is as good as a slow one (OWASP ASVS 5.0, 6.5.2). */
export const RECOVERY_CODE_LENGTH = 24;
/** How many a person gets. */
export const RECOVERY_CODES = 10;
const GROUP = /.{4}(?=.)/g;

/** Codes on paper that take the place of an authenticator app that is lost. Each is good once. */
export class RecoveryCodes {
  readonly #keys: DerivedKeys;

  constructor(deps: { keys: ServiceKeys }) {
    this.#keys = deps.keys.derive('tenantry recovery code');
  }

  /** @returns new codes as they are shown: `4KZT-9B1W-0QXH-M7VC-2FYR-8D3E` */
  generate(): string[] {
    return Array.from({ length: RECOVERY_CODES }, () => randomCode().replace(GROUP, '$&-'));
  }

  /**
   * How a code is stored. At 120 random bits a slow hash would gain nothing. The key is not in the database, so that who
   * can write there cannot add codes; the account's id keeps a hash from being of use to another account.
   */
  hash(code: string, adminId: ObjectId): string {
    return hashUnder(this.#keys[0], code, adminId);
  }

  /** How a code may have been stored: under the present key, or one that it has replaced. */
  possibleHashes(code: string, adminId: ObjectId): string[] {
    return this.#keys.map((key) => hashUnder(key, code, adminId));
  }
}

/**
 * Reads a recovery code as people write it: in any case, with spaces and dashes or without, and with the letters that
 * Crockford's alphabet leaves out for the digits they look like.
 *
 * @returns the code's 24 characters, or undefined for what is none
 */
export function parseRecoveryCode(text: string): string | undefined {
  const code = withoutSeparators(text).toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1');
  const characters = [...code];
  const isCode =
    characters.length === RECOVERY_CODE_LENGTH &&
    characters.every((one) => RECOVERY_ALPHABET.includes(one));
  return isCode ? code : undefined;
}

/** Without white space and dashes of any kind: a phone's keyboard, or a word processor, makes others of them. */
export function withoutSeparators(text: string): string {
  return text.normalize('NFKC').replace(/[\s\p{Dash_Punctuation}]/gu, '');
}

function randomCode(): string {
  const letter = () => RECOVERY_ALPHABET.charAt(randomInt(RECOVERY_ALPHABET.length));
  return Array.from({ length: RECOVERY_CODE_LENGTH }, letter).join('');
}

function hashUnder(key: Buffer, code: string, adminId: ObjectId): string {
  const plain = parseRecoveryCode(code);
  if (plain === undefined) throw new Error('not a recovery code');
  return createHmac('sha256', key).update(adminId.id).update(plain).digest('base64url');
}
