import { createHash } from 'node:crypto';

/** MongoDB's limit for `database.collection`, in bytes of UTF-8 (235 for a sharded collection). */
const MAX_NAMESPACE_BYTES = 255;
const PREFIX = 'org_';
/** A name that is cut ends in 64 bits of a hash: too many to find, on purpose, a second name for a collection. */
const HASH_DIGITS = 16;
const ENDS_LIKE_A_HASH = new RegExp(`_[0-9a-f]{${HASH_DIGITS}}$`);

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * The name of an organization's collection: `org_` + slug. Where that would exceed the 255 bytes that MongoDB allows
 * a namespace (manual, "MongoDB Limits and Thresholds"; 256 answer error 73), the slug is cut between two characters
 * as a reader sees them, and a hash of the whole slug is added.
 *
 * Different slugs have different names: a slug that itself ends like a hash gets one too.
 *
 * Where a cut falls may change with the Unicode version of the runtime, so a registry keeps the name it used.
 *
 * @param slug - the output of `slugOf`
 * @param database - a legal database name, at most 63 bytes
 */
export function collectionNameOf(slug: string, database: string): string {
  const room = MAX_NAMESPACE_BYTES - Buffer.byteLength(`${database}.${PREFIX}`);
  if (Buffer.byteLength(slug) <= room && !ENDS_LIKE_A_HASH.test(slug)) return PREFIX + slug;
  const hash = createHash('sha256').update(slug).digest('hex').slice(0, HASH_DIGITS);
  return `${PREFIX}${cut(slug, room - 1 - HASH_DIGITS)}_${hash}`;
}

/** The longest beginning within `maxBytes`. Splits a grapheme only when not even the first one fits. */
function cut(text: string, maxBytes: number): string {
  const whole = Array.from(graphemes.segment(text), ({ segment }) => segment);
  return leading(whole, maxBytes) || leading(Array.from(text), maxBytes);
}

function leading(parts: readonly string[], maxBytes: number): string {
  let bytes = 0;
  const end = parts.findIndex((part) => {
    bytes += Buffer.byteLength(part);
    return bytes > maxBytes;
  });
  return parts.slice(0, end === -1 ? undefined : end).join('');
}
