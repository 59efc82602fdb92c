import { hash } from 'node:crypto';
import { BSON, type Document } from 'mongodb';

/**
 * The version of a record: a hash of all that it holds, types included. So every record has one, whoever wrote it and
 * however, and nothing of ours is in the document (ADR 20).
 *
 * @param record - the bytes it is stored in; or a document that was read with `EXACT_TYPES`, which is the same for all but
 *   names like "7" and references with a dot, that JavaScript and the driver rearrange
 * @returns a strong entity tag, quotes included (RFC 9110, 8.8.3)
 */
export function etagOf(record: Uint8Array | Document): string {
  const bytes = record instanceof Uint8Array ? record : BSON.serialize(record);
  const digest = hash('sha256', bytes, 'base64url');
  return `"${digest.slice(0, 27)}"`;
}
