import { MongoInvalidArgumentError } from 'mongodb';
import { expect, test } from 'vitest';
import { bulkItemOf } from '../../../src/library/bulk-operations.ts';

test.for(['constructor', 'toString', '__proto__', 'insertMany'])(
  'an operation named %s is refused like any that there is not',
  (name) => {
    const operation = JSON.parse(`{"${name}":{"filter":{}}}`);
    expect(() => bulkItemOf(operation)).toThrow(MongoInvalidArgumentError);
  },
);
