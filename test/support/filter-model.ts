/**
 * What MongoDB's filters mean, written down once more in the plainest way, for documents of JSON and dates,
 * without lists of lists. It is what tests
 * compare the service with; the server itself is the authority.
 *
 * @see https://www.mongodb.com/docs/manual/reference/operator/query/
 */
export function matchesFilter(document: Json, filter: Json): boolean {
  return Object.entries(filter).every(([name, value]) => {
    const list = value as Json[];
    if (name === '$and') return list.every((one) => matchesFilter(document, one));
    if (name === '$or') return list.some((one) => matchesFilter(document, one));
    if (name === '$nor') return !list.some((one) => matchesFilter(document, one));
    return matchesField(document, name, value);
  });
}

type Json = Record<string, unknown>;

function matchesField(document: Json, path: string, condition: unknown): boolean {
  if (!isOperators(condition))
    return some(document, path, (one) => isEqual(one, condition), condition === null);
  return Object.entries(condition).every(([operator, operand]) =>
    holds(document, path, operator, operand),
  );
}

function holds(document: Json, path: string, operator: string, operand: unknown): boolean {
  const equals = (wanted: unknown) =>
    some(document, path, (one) => isEqual(one, wanted), wanted === null);
  switch (operator) {
    case '$eq':
      return equals(operand);
    case '$ne':
      return !equals(operand);
    case '$in':
      return (operand as unknown[]).some(equals);
    case '$nin':
      return !(operand as unknown[]).some(equals);
    case '$not':
      return !matchesField(document, path, operand);
    case '$exists':
      return reached(document, path).some((value) => value !== undefined) === operand;
    case '$size':
      return reached(document, path).some(
        (value) => Array.isArray(value) && value.length === operand,
      );
    case '$type':
      return some(document, path, (one) => isOfType(one, operand));
    case '$regex':
      return some(
        document,
        path,
        (one) => typeof one === 'string' && new RegExp(String(operand)).test(one),
      );
    case '$elemMatch':
      return reached(document, path).some(
        (value) =>
          Array.isArray(value) && value.some((one) => matchesField({ one }, 'one', operand)),
      );
    default:
      return some(
        ...([document, path] as const),
        (one) => isOrdered(one, operator, operand),
        operand === null && operator.endsWith('e'),
      );
  }
}

/** Whether a value at the path, or an element of one that is a list, passes. */
function some(
  document: Json,
  path: string,
  passes: (value: unknown) => boolean,
  missingPasses = false,
): boolean {
  return reached(document, path).some((value) => {
    if (value === undefined) return missingPasses;
    if (passes(value)) return true;
    return Array.isArray(value) && value.some(passes);
  });
}

/** What a path leads to: through a list it leads into each of its documents. */
function reached(value: unknown, path: string): unknown[] {
  return follow(value, path.split('.'));
}

function follow(value: unknown, [name, ...rest]: string[]): unknown[] {
  if (name === undefined) return [value];
  if (Array.isArray(value))
    return value.filter(isObject).flatMap((one) => follow(one, [name, ...rest]));
  return isObject(value) ? follow(value[name], rest) : [undefined];
}

function isObject(value: unknown): value is Json {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !('$date' in value)
  );
}

function isOperators(value: unknown): value is Json {
  return isObject(value) && Object.keys(value).some((name) => name.startsWith('$'));
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function isOrdered(one: unknown, operator: string, other: unknown): boolean {
  if (typeOf(one) !== typeOf(other)) return false;
  const [a, b] = [comparable(one), comparable(other)];
  if (operator === '$gt') return a > b;
  if (operator === '$gte') return a >= b;
  return operator === '$lt' ? a < b : a <= b;
}

function comparable(value: unknown): number | string {
  if (typeof value === 'string' || typeof value === 'number') return value;
  if (isDate(value)) return value.$date;
  return Number(value);
}

function isDate(value: unknown): value is { $date: string } {
  return typeof value === 'object' && value !== null && '$date' in value;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return isDate(value) ? 'date' : typeof value;
}

function isOfType(value: unknown, type: unknown): boolean {
  return typeOf(value) === (type === 'bool' ? 'boolean' : type);
}
