import {
  assertName,
  bsonOf,
  InvalidExtendedJsonError,
  isTyped,
  MAX_DEPTH,
  pointer,
} from './extended-json.ts';

/**
 * Applies a JSON merge patch: an object changes the fields it names, null removes one, and everything else takes the place
 * of what was there; so does a value of Extended JSON, which is one value, whatever it looks like.
 *
 * @param target - a record's fields, exactly as they are stored; stays as it is
 * @param path - of the patch, as a JSON Pointer, for errors
 * @throws InvalidExtendedJsonError
 * @see https://www.rfc-editor.org/rfc/rfc7396
 */
export function mergePatch(
  target: ReadonlyMap<string, unknown>,
  patch: Record<string, unknown>,
  path: string,
): Map<string, unknown> {
  if (isTyped(patch))
    throw new InvalidExtendedJsonError({ path, message: 'must be an object of changes' });
  return merged(target, patch, path, 0);
}

function merged(
  target: unknown,
  patch: Record<string, unknown>,
  path: string,
  depth: number,
): Map<string, unknown> {
  const result = target instanceof Map ? new Map(target) : new Map<string, unknown>();
  for (const [name, value] of Object.entries(patch)) {
    const at = pointer(path, name);
    assertName(name, at);
    if (value === null) result.delete(name);
    else if (!isChanges(value) || depth === MAX_DEPTH)
      result.set(name, bsonOf(value, at, depth + 1));
    else result.set(name, merged(result.get(name), value, at, depth + 1));
  }
  return result;
}

function isChanges(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isTyped(value);
}
