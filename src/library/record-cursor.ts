import { Readable } from 'node:stream';
import { type Document, MongoCursorExhaustedError, MongoCursorInUseError } from 'mongodb';
import { CursorLostError } from '../tenants/fenced-commands.ts';

/** How often a query is begun anew after the database was away in the middle of it. */
const MAX_LOSSES = 5;

/**
 * The documents of a query or an aggregation, asked for batch by batch, as the driver's cursors give them.
 *
 * A rename of the organization and a change of the database's node end a query on the server. Before a document was handed
 * out, and in {@link toArray}, it is begun anew without a word; afterwards only a query in the order of `_id` goes on.
 */
export abstract class RecordCursor<T> implements AsyncIterable<T>, AsyncDisposable {
  #batches: AsyncGenerator<Document[], void> | undefined;
  readonly #buffer: Document[] = [];
  #handedOut = false;
  #losses = 0;
  #closed = false;
  /** Closed after its last document, not before. */
  #exhausted = false;
  #transform: ((document: never) => unknown) | undefined;

  /** Asks for the documents, from the beginning. */
  protected abstract open(): AsyncGenerator<Document[], void>;

  get closed(): boolean {
    return this.#closed;
  }

  /** @returns the next document, or null after the last. @throws CursorLostError, and as `find` */
  async next(): Promise<T | null> {
    if (this.#closed && !this.#exhausted) throw new MongoCursorExhaustedError();
    const found = await this.#take();
    if (found === undefined) return null;
    this.#handedOut = true;
    return this.#transformed(found);
  }

  /** As {@link next}: there are no cursors that wait here. */
  tryNext(): Promise<T | null> {
    return this.next();
  }

  async hasNext(): Promise<boolean> {
    const found = await this.#take();
    if (found !== undefined) this.#buffer.unshift(found);
    return found !== undefined;
  }

  /** @returns what is left: if nothing was handed out before, one whole answer, begun anew as often as it takes */
  async toArray(): Promise<T[]> {
    try {
      const all = await this.#collect();
      return all.map((document) => this.#transformed(document));
    } finally {
      await this.close();
    }
  }

  /** @param iterator - ends the iteration by returning false */
  async forEach(iterator: (document: T) => unknown): Promise<void> {
    for await (const document of this) if (iterator(document) === false) return;
  }

  /** The documents as a stream of objects. */
  stream(): Readable {
    return Readable.from(this);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const found = await this.#take();
        if (found === undefined) return;
        this.#handedOut = true;
        yield this.#transformed(found);
      }
    } finally {
      await this.close();
    }
  }

  /** Ends the query on the server if it has not ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#buffer.length = 0;
    await this.#batches?.return();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Has every document pass through a function. */
  protected addTransform(transform: (document: never) => unknown): void {
    const before = this.#transform;
    this.#transform = before ? (document) => transform(before(document) as never) : transform;
  }

  /** @throws MongoCursorInUseError when the query is under way: it cannot be changed any more */
  protected assertUnused(): void {
    if (this.#batches !== undefined || this.#closed) throw new MongoCursorInUseError();
  }

  #transformed(document: Document): T {
    return (this.#transform ? this.#transform(document as never) : document) as T;
  }

  async #take(): Promise<Document | undefined> {
    while (this.#buffer.length === 0) {
      if (this.#closed) return undefined;
      this.#batches ??= this.open();
      const { done, value } = await this.#nextBatch(this.#batches);
      if (done === true) {
        this.#exhausted = true;
        this.#closed = true;
        return undefined;
      }
      this.#buffer.push(...value);
    }
    return this.#buffer.shift();
  }

  /** A query that is lost before anything of it was seen is begun anew. */
  async #nextBatch(batches: AsyncGenerator<Document[], void>) {
    for (;;) {
      try {
        return await (this.#batches ?? batches).next();
      } catch (error) {
        if (!(error instanceof CursorLostError) || this.#handedOut || this.#isInVain(error))
          throw error;
        this.#batches = this.open();
      }
    }
  }

  async #collect(): Promise<Document[]> {
    if (this.#handedOut || this.#closed) {
      const rest: Document[] = [];
      for (let found = await this.#take(); found !== undefined; found = await this.#take())
        rest.push(found);
      return rest;
    }
    this.#buffer.length = 0;
    for (;;) {
      const all: Document[] = [];
      await this.#batches?.return();
      this.#batches = this.open();
      try {
        for await (const batch of this.#batches) for (const one of batch) all.push(one);
        return all;
      } catch (error) {
        if (!(error instanceof CursorLostError) || this.#isInVain(error)) throw error;
      }
    }
  }

  /** Whether it has been begun anew often enough: the first batch comes, and then never another. */
  #isInVain({ isAway }: CursorLostError): boolean {
    if (isAway) this.#losses += 1;
    return this.#losses > MAX_LOSSES;
  }
}
