import { InvalidExtendedJsonError, pointer } from './extended-json.ts';
import { assertFieldPath } from './record-filter.ts';

/** More would be no order that anybody looks at, and MongoDB sorts by 32 at most. */
const MAX_FIELDS = 8;

/** By what a list is sorted, first things first. Ends with `_id`, so that no two records are in the same place. */
export type SortOrder = readonly { path: string; direction: 1 | -1 }[];

/**
 * Reads an order: `-created_at,name`, or `{"created_at": -1, "name": 1}`, which leaves no doubt about odd names.
 *
 * @param sort - text, or the object that a body holds
 * @throws InvalidExtendedJsonError that names `/sort`
 */
export function sortOrderOf(sort: unknown = ''): SortOrder {
  const fields = typeof sort === 'string' ? ofText(sort) : ofObject(sort);
  if (fields.length > MAX_FIELDS) throw refused('/sort', `must have at most ${MAX_FIELDS} fields`);
  const seen = new Set<string>();
  for (const { path } of fields) {
    assertSortPath(path);
    if (seen.has(path)) throw refused(pointer('/sort', path), 'is there twice');
    seen.add(path);
  }
  const last = fields.findIndex(({ path }) => path === '_id');
  // In the direction of the last field: then one index serves an order and its reverse.
  return last < 0
    ? [...fields, { path: '_id', direction: fields.at(-1)?.direction ?? 1 }]
    : fields.slice(0, last + 1);
}

/** For `$sort`. A Map, because an object would put names like "7" first. */
export function sortStage(order: SortOrder): Map<string, 1 | -1> {
  return new Map(order.map(({ path, direction }) => [path, direction]));
}

function ofText(text: string): { path: string; direction: 1 | -1 }[] {
  if (text === '') return [];
  // As other interfaces have it; a field of such a name can be sorted by in the form of an object.
  const other = text.split(',').find((one) => /^\+|[: ]/.test(one));
  if (other !== undefined)
    throw refused('/sort', `must be like name or -name, for falling order; "${other}" is neither`);
  return text
    .split(',')
    .map((one) =>
      one.startsWith('-') ? { path: one.slice(1), direction: -1 } : { path: one, direction: 1 },
    );
}

function ofObject(sort: unknown): { path: string; direction: 1 | -1 }[] {
  if (typeof sort !== 'object' || sort === null || Array.isArray(sort))
    throw refused('/sort', 'must be field names with commas between them, or an object');
  const entries = Object.entries(sort);
  // JSON objects have no order for these that a program could rely on.
  if (entries.length > 1 && entries.some(([path]) => /^\d+$/.test(path)))
    throw refused('/sort', 'must be text where a field is named by a number');
  return entries.map(([path, direction]) => {
    if (direction !== 1 && direction !== -1)
      throw refused(pointer('/sort', path), 'must be 1 or -1');
    return { path, direction };
  });
}

function assertSortPath(path: string): void {
  const at = pointer('/sort', path);
  assertFieldPath(path, at);
  if (path.split('.').some((one) => one === '')) throw refused(at, 'is no name of a field');
}

function refused(path: string, message: string): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path, message });
}
