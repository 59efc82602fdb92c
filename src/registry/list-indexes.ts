import type { RequiredIndex } from '../database/collections.ts';

/**
 * What organizations are listed by, and the index that serves it: whatever is searched for and whichever states are asked for
 * come before the field that is sorted by, so that the index gives them in order.
 */
export const LIST_INDEXES = {
  name: { name: 'listed_by_name', field: 'name_key' },
  created_at: { name: 'listed_by_created_at', field: 'created_at' },
  size: { name: 'listed_by_size', field: 'measured.bytes' },
  last_activity: { name: 'listed_by_last_activity', field: 'last_active_at' },
} as const;

/** The indexes of {@link LIST_INDEXES}, for the registry. */
export const REQUIRED_LIST_INDEXES: readonly RequiredIndex[] = Object.values(LIST_INDEXES).map(
  ({ name, field }) => ({ name, key: { search_keys: 1, state: 1, [field]: 1, _id: 1 } }),
);
