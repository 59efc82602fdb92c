import { createHash } from 'node:crypto';
import { BSON, type Document } from 'mongodb';

/**
 * The version of a record: a hash of all that it holds, types included. So every record has one, whoever wrote it and
 * however, and nothing of ours is in the document (ADR 20).
 *
 * @param document - read with `EXACT_TYPES`
 * @returns a strong entity tag, quotes included (RFC 9110, 8.8.3)
 */
export function etagOf(document: Document): string {
  const hash = createHash('sha256').update(BSON.serialize(document)).digest('base64url');
  return `"${hash.slice(0, 27)}"`;
}
