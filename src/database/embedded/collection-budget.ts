/** MongoDB advises against more than 10,000 collections in a replica set; this leaves room for the registry. */
const MOST_COLLECTIONS = 9000;
/** mongod's own files (about 110), the registry's collections and indexes, client connections. */
const RESERVED_DESCRIPTORS = 500;
/** One file for the collection, one for its `_id` index, and one for a secondary index that a tenant may want. */
const DESCRIPTORS_PER_COLLECTION = 3;

/**
 * How many organizations a `mongod` can carry with this many file descriptors. It has to be kept by the
 * service: when descriptors run out, MongoDB 6.0.5 aborts without an error to any client first. Measured: it
 * starts with about 110 descriptors, takes 2 per collection and 1 per further index and connection, and aborts when none
 * is left (457 collections at `ulimit -n 1024`, 1,992 at 4,096, 9,900 at 20,000).
 *
 * @param descriptorLimit - `ulimit -n`; may be Infinity
 * @returns 0 when the limit is too low to be of any use
 */
export function collectionBudget(descriptorLimit: number): number {
  const affordable = Math.floor(
    (descriptorLimit - RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_COLLECTION,
  );
  return Math.max(0, Math.min(MOST_COLLECTIONS, affordable));
}
