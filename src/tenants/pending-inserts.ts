import { type Document, ObjectId } from 'mongodb';
import { missedIn } from './fence.ts';
import type { InsertOptions, WriteFailure } from './tenant-collection.ts';

const DUPLICATE_KEY = 11000;

interface Pending {
  document: Document;
  /** Its place among those that were given. */
  index: number;
}

/** The documents of an insert that are still to be stored, and those that were refused. */
export class PendingInserts {
  /** Those that are refused for good, by the documents' own indexes. */
  readonly refused: WriteFailure[] = [];
  /** An attempt may have stored some of them of which nobody knows. */
  isRepeated = false;
  readonly #ordered: boolean;
  /** The indexes of documents whose `_id` was made for this very insert. */
  readonly #ownIds: Set<number>;
  #left: Pending[];
  #refusals: (WriteFailure & Pending)[] = [];

  constructor(documents: readonly Document[], { ordered = true, ownIds }: InsertOptions) {
    this.#ordered = ordered;
    this.#ownIds = new Set(ownIds);
    this.#left = documents.map((document, index) => {
      if (document._id !== undefined) return { index, document };
      this.#ownIds.add(index);
      return { index, document: { ...document, _id: new ObjectId() } };
    });
  }

  get isDone(): boolean {
    return this.#left.length === 0;
  }

  /** What is left, as the server takes it. */
  command(name: string): Document {
    const documents = this.#left.map(({ document }) => document);
    return { insert: name, documents, ordered: this.#ordered };
  }

  /** Notes what the server refused, and keeps what it did not store, because the collection moved in the middle of it. */
  take(reply: Document): void {
    const left = this.#left;
    const missed = missedIn(reply);
    // Of an ordered insert nothing is tried after the first miss or refusal.
    let tried = left.length;
    for (const failure of (reply.writeErrors ?? []) as WriteFailure[]) {
      const one = left[failure.index];
      if (one === undefined) throw new Error('the server refused a document it was not sent');
      const isMiss = missed.has(failure.index);
      if (!isMiss) this.#refusals.push({ ...failure, ...one });
      if (this.#ordered) tried = failure.index + (isMiss ? 0 : 1);
    }
    this.#left = left.filter((_, index) => index >= tried || missed.has(index));
  }

  /**
   * Decides about what was refused: a duplicate may be what an earlier attempt stored.
   *
   * @param holds - whether a document is stored; `isOwnId`: to have its `_id` is to be it
   */
  async settle(holds: (document: Document, isOwnId: boolean) => Promise<boolean>): Promise<void> {
    const refusals = this.#refusals;
    this.#refusals = [];
    for (const { document, ...failure } of refusals) {
      const isDuplicate = this.isRepeated && failure.code === DUPLICATE_KEY;
      if (isDuplicate && (await holds(document, this.#ownIds.has(failure.index)))) continue;
      this.refused.push(failure);
      if (this.#ordered) this.#left = [];
    }
  }
}
