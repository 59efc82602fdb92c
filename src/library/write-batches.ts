import { BSON, type Document } from 'mongodb';

/** A command is a document itself, of at most 16 MiB; this leaves room for the rest of it. */
const MOST_BYTES = 12 * 1024 * 1024;
/** So that a command is short beside the time it has. */
const MOST_ITEMS = 5_000;

/** Some of the items of a write, and where they begin. */
export interface Batch<T> {
  from: number;
  items: T[];
}

/** Cuts a write into commands that the server takes. An item that is too large by itself is left to the server to refuse. */
export function* batchesOf<T extends object>(items: readonly T[]): Generator<Batch<T>, void> {
  let batch: Batch<T> = { from: 0, items: [] };
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const size = BSON.calculateObjectSize(item as Document);
    if (batch.items.length === MOST_ITEMS || (bytes > 0 && bytes + size > MOST_BYTES)) {
      yield batch;
      batch = { from: index, items: [] };
      bytes = 0;
    }
    batch.items.push(item);
    bytes += size;
  }
  if (batch.items.length > 0) yield batch;
}
