import { ObjectId } from 'mongodb';
import { AppError } from '../errors.ts';
import { bsonOf, InvalidExtendedJsonError, jsonOf, parseExactJson } from './extended-json.ts';

/**
 * Reads the id in a URL: 24 hexadecimal digits are an ObjectId, `true` and `false` what they say; what begins with `{` or `"` is Extended JSON, for ids of
 * other types and for texts that look like one of these; anything else is a text.
 *
 * @throws AppError `invalid_record_id`
 */
export function recordIdOf(text: string): unknown {
  if (/^[0-9a-f]{24}$/i.test(text)) return ObjectId.createFromHexString(text);
  if (text === 'true' || text === 'false') return text === 'true';
  if (!/^[{"]/.test(text)) return text;
  try {
    return bsonOf(parseExactJson(text), '');
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof InvalidExtendedJsonError)) throw cause;
    const message = 'must be an id: 24 hexadecimal digits, a text, or Extended JSON';
    throw new AppError('malformed', 'invalid_record_id', `id: ${message}`, {
      ...{ cause, errors: [{ path: '/id', message }] },
    });
  }
}

/** Texts that mean something else in a URL: the names of operations, steps up and down, and other types. */
const RESERVED = new Set([
  ...['', '.', '..', 'batch', 'changes', 'count', 'export', 'import', 'query', 'true', 'false'],
]);

/** The inverse of {@link recordIdOf}, not percent-encoded. */
export function recordIdText(id: unknown): string {
  if (id instanceof ObjectId) return id.toHexString();
  if (
    typeof id === 'string' &&
    id !== '' &&
    !RESERVED.has(id) &&
    !/^([{"]|[0-9a-f]{24}$)/i.test(id)
  )
    return id;
  return JSON.stringify(jsonOf(id, 'canonical'));
}
