import { type Document, MongoInvalidArgumentError } from 'mongodb';
import type { DeleteStatement, UpdateStatement } from '../tenants/tenant-collection.ts';
import { assertDocument, hasOperators, knownOptions, sortOf } from './driver-forms.ts';

/** One write, as the server takes it. */
export type BulkItem =
  | { kind: 'insert'; item: Document }
  | { kind: 'update' | 'updateMany'; item: UpdateStatement }
  | { kind: 'delete' | 'deleteMany'; item: DeleteStatement };

/** Options that belong to one statement of an update. */
export const UPDATE_STATEMENT_OPTIONS = ['upsert', 'arrayFilters', 'collation', 'hint', 'sort'];
export const DELETE_STATEMENT_OPTIONS = ['collation', 'hint'];

/** @throws MongoInvalidArgumentError, UnsupportedOptionError */
export function bulkItemOf(operation: unknown): BulkItem {
  assertDocument(operation, 'Operation');
  const [name = '', ...others] = Object.keys(operation);
  const make = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (make === undefined || others.length > 0)
    throw new MongoInvalidArgumentError(
      'bulkWrite only supports insertOne, updateOne, updateMany, deleteOne, deleteMany',
    );
  const details = operation[name] as unknown;
  assertDocument(details, name);
  return make(details);
}

const OPERATIONS: Readonly<Record<string, (details: Document) => BulkItem>> = {
  insertOne: (details) => ({ kind: 'insert', item: details.document ?? details }),
  updateOne: ({ filter, update, ...options }) => ({
    kind: 'update',
    item: updateOf('updateOne', filter, update, options),
  }),
  updateMany: ({ filter, update, ...options }) => ({
    kind: 'updateMany',
    item: { ...updateOf('updateMany', filter, update, options), multi: true },
  }),
  replaceOne: ({ filter, replacement, ...options }) => ({
    kind: 'update',
    item: replacementOf(filter, replacement, options),
  }),
  deleteOne: ({ filter, ...options }) => ({ kind: 'delete', item: deleteOf(filter, 1, options) }),
  deleteMany: ({ filter, ...options }) => ({
    kind: 'deleteMany',
    item: deleteOf(filter, 0, options),
  }),
};

/** An update with operators or a pipeline. @throws MongoInvalidArgumentError, UnsupportedOptionError */
export function updateOf(
  method: string,
  filter: unknown,
  update: unknown,
  options: object,
): UpdateStatement {
  assertDocument(filter, 'Selector');
  assertDocument(update, 'Document');
  if (!hasOperators(update))
    throw new MongoInvalidArgumentError('Update document requires atomic operators');
  return { q: filter, u: update, ...statementOptions(method, options) };
}

/** @throws MongoInvalidArgumentError, UnsupportedOptionError */
export function replacementOf(
  filter: unknown,
  replacement: unknown,
  options: object,
): UpdateStatement {
  assertDocument(filter, 'Selector');
  assertDocument(replacement, 'Document');
  if (Array.isArray(replacement) || hasOperators(replacement))
    throw new MongoInvalidArgumentError('Replacement document must not contain atomic operators');
  return { q: filter, u: replacement, ...statementOptions('replaceOne', options) };
}

/** @throws UnsupportedOptionError */
export function deleteOf(filter: unknown, limit: 0 | 1, options: object): DeleteStatement {
  assertDocument(filter ?? {}, 'Selector');
  const known = knownOptions('deleting', options, DELETE_STATEMENT_OPTIONS);
  return { q: (filter ?? {}) as Document, limit, ...known };
}

function statementOptions(method: string, options: object): object {
  const { sort, ...known } = knownOptions(method, options, UPDATE_STATEMENT_OPTIONS);
  return { ...known, ...(sort !== undefined && { sort: sortOf(sort as Document) }) };
}
