import { ObjectId } from 'mongodb';
import { InvalidFieldError } from '../errors.ts';
import { bsonOf } from './extended-json.ts';

type Json = Record<string, unknown>;

/** One change of a batch, as it came. */
export interface BatchOperation {
  op: 'insert' | 'replace' | 'patch' | 'delete' | 'upsert';
  id?: unknown;
  record?: Json;
  patch?: Json;
  if_match?: string;
}

/** As in URLs, 24 hexadecimal digits are an ObjectId; other texts are texts, and the rest is Extended JSON. */
export function idOf(id: unknown): unknown {
  return typeof id === 'string' && /^[0-9a-f]{24}$/i.test(id)
    ? ObjectId.createFromHexString(id)
    : bsonOf(id, '/id');
}

const PARTS: Readonly<Record<BatchOperation['op'], { needs: Part[]; takes: Part[] }>> = {
  insert: { needs: ['record'], takes: [] },
  replace: { needs: ['id', 'record'], takes: ['if_match'] },
  patch: { needs: ['id', 'patch'], takes: ['if_match'] },
  delete: { needs: ['id'], takes: ['if_match'] },
  upsert: { needs: ['id', 'record'], takes: [] },
};
type Part = Exclude<keyof BatchOperation, 'op'>;

/** @throws InvalidFieldError unless it has all that its kind needs, and nothing else */
export function assertComplete(operation: BatchOperation, index: number): void {
  const { needs, takes } = PARTS[operation.op];
  for (const part of needs)
    if (operation[part] === undefined || operation[part] === null)
      throw new InvalidFieldError(`/operations/${index}/${part}`, `is required to ${operation.op}`);
  for (const part of Object.keys(operation) as (Part | 'op')[])
    if (part !== 'op' && !needs.includes(part) && !takes.includes(part))
      throw new InvalidFieldError(
        `/operations/${index}/${part}`,
        `has no meaning for ${operation.op}`,
      );
}
