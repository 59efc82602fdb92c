import type { Document } from 'mongodb';
import { InvalidExtendedJsonError } from './extended-json.ts';
import { assertFieldPath } from './record-filter.ts';

const MAX_FIELDS = 100;

/** Which fields of records are shown. */
export interface Projection {
  /** Whether these fields alone are shown, or all but these. `_id` is not among them. */
  isInclusion: boolean;
  paths: readonly string[];
  hidesId: boolean;
}

/**
 * Reads `name,address.city`, or `-notes,-history`: fields to show, or to leave out. `_id` is shown unless `-_id` says
 * otherwise, which goes with either.
 *
 * @throws InvalidExtendedJsonError that names `/fields`
 */
export function projectionOf(text: string): Projection {
  if (text.startsWith('{')) throw refused('must be field names with commas between them');
  const all = text
    .split(',')
    .map((one) => ({ path: one.replace(/^-/, ''), hides: one[0] === '-' }));
  if (all.length > MAX_FIELDS) throw refused(`must name at most ${MAX_FIELDS} fields`);
  const fields = all.filter(({ path }) => path !== '_id');
  const hidesId = all.some(({ path, hides }) => path === '_id' && hides);
  const isInclusion =
    fields.length > 0
      ? fields[0]?.hides === false
      : all.some(({ path, hides }) => path === '_id' && !hides);
  if (fields.some(({ hides }) => hides === isInclusion))
    throw refused('must name fields to show or fields to leave out, not both');
  const paths = [...new Set(fields.map(({ path }) => path))];
  for (const path of paths) assertPath(path, paths);
  return { isInclusion, paths, hidesId };
}

/** @param prefix - of the paths, where the record is inside another document; `and` is shown beside it */
export function projectionStage(
  { isInclusion, paths }: Projection,
  prefix = '',
  and: readonly string[] = [],
): Document | undefined {
  const inside = paths.map((path) => `${prefix}${path}`);
  if (!isInclusion) return paths.length === 0 ? undefined : shown(inside, 0);
  // The position in a list is found by it, if by nothing else.
  return shown([...and, `${prefix}_id`, ...inside], 1);
}

function shown(paths: readonly string[], value: 0 | 1): Document {
  return Object.fromEntries(paths.map((path) => [path, value]));
}

function assertPath(path: string, all: readonly string[]): void {
  assertFieldPath(path, '/fields');
  const segments = path.split('.');
  if (segments.some((one) => one === '')) throw refused('holds what is no name of a field');
  if (all.some((other) => other.startsWith(`${path}.`) || path.startsWith('_id.')))
    throw refused(`must not name ${path} together with a part of it`);
}

function refused(message: string): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path: '/fields', message });
}
