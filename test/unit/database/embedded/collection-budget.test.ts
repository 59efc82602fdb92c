import { expect, test } from 'vitest';
import { collectionBudget } from '../../../../src/database/embedded/collection-budget.ts';

test.each([
  [256, 0],
  [500, 0],
  [1024, 174],
  [4096, 1198],
  [20_000, 6500],
  [27_500, 9000],
  [1_048_576, 9000],
  [Number.POSITIVE_INFINITY, 9000],
])('%d descriptors allow %d collections', (descriptorLimit, collections) => {
  expect(collectionBudget(descriptorLimit)).toBe(collections);
});
