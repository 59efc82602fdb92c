import { createHash, randomInt, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** What every API key begins with, and nothing else does that is sent as a bearer token. */
const SCHEME = 'tnt_';
const BASE_62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 71 bits: two of a kind are not to be expected, and a unique index would tell. */
const IDENTIFIER_LENGTH = 12;
/** 190 bits. */
const SECRET_LENGTH = 32;
/** Enough for the 32 bits of the checksum. */
const CHECKSUM_LENGTH = 6;

const PREFIX_LENGTH = SCHEME.length + IDENTIFIER_LENGTH;
const FORM = new RegExp(
  `^${SCHEME}[0-9A-Za-z]{${IDENTIFIER_LENGTH}}_[0-9A-Za-z]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`,
);

/** What is kept of an API key: it can be found and recognised by this, not made. */
export interface ApiKeyDigest {
  /** The public part, by which the key is found and people know it again: `tnt_` and 12 characters. */
  prefix: string;
  /** SHA-256 of the whole key, in hex. */
  hash: string;
}

/** An API key that was just made. */
export interface NewApiKey extends ApiKeyDigest {
  /** The key itself; nowhere else is it ever to be found again. */
  text: string;
}

/**
 * Makes a key: `tnt_<identifier>_<secret><checksum>`, all but the underscores in base62, so that a double click selects
 * all of it. The checksum is the CRC-32 of what stands before it, as in GitHub's tokens: a scanner of leaked secrets can
 * tell a key from a text that only looks like one, and the service a slip of the hand from a guess, without a query.
 *
 * @see https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
 */
export function makeApiKey(): NewApiKey {
  const prefix = SCHEME + randomText(IDENTIFIER_LENGTH);
  const unchecked = `${prefix}_${randomText(SECRET_LENGTH)}`;
  const text = unchecked + checksumOf(unchecked);
  return { text, prefix, hash: hashOf(text) };
}

/** Whether a bearer token is meant as an API key, be it a good one or not. */
export function isApiKey(token: string): boolean {
  return token.startsWith(SCHEME);
}

/** @returns what to look for; undefined for a text that never was a key */
export function readApiKey(text: string): ApiKeyDigest | undefined {
  if (!FORM.test(text)) return undefined;
  const unchecked = text.slice(0, -CHECKSUM_LENGTH);
  if (text.slice(-CHECKSUM_LENGTH) !== checksumOf(unchecked)) return undefined;
  return { prefix: text.slice(0, PREFIX_LENGTH), hash: hashOf(text) };
}

/** Compares two hashes in a time that tells nothing of where they differ. */
export function sameHash(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, 'hex'), Buffer.from(other, 'hex')];
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * A plain hash will do, and no costly one as for passwords: that has to make guessing slow because people choose from few
 * passwords. Here are 190 random bits, which nobody gets through at any speed (OWASP, Password Storage Cheat Sheet, speaks of
 * what people choose); and a hash that takes 200 ms would be paid at every request.
 */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function checksumOf(text: string): string {
  let digits = '';
  for (let rest = crc32(text); digits.length < CHECKSUM_LENGTH; rest = Math.floor(rest / 62))
    digits = BASE_62.charAt(rest % 62) + digits;
  return digits;
}

function randomText(length: number): string {
  return Array.from({ length }, () => BASE_62.charAt(randomInt(BASE_62.length))).join('');
}
