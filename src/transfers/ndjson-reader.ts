import {
  documentOfJson,
  MAX_LINE_BYTES,
  orRefusal,
  type ReadRecord,
  type RecordReader,
  tooLarge,
} from './import-records.ts';

const NEWLINE = 0x0a;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/**
 * Reads NDJSON: one document of Extended JSON a line. Blank lines are passed over. A line longer than a record may be is
 * an error without being kept, so that memory does not depend on the body.
 *
 * @see https://github.com/ndjson/ndjson-spec
 */
export class NdjsonReader implements RecordReader {
  #lines = 0;
  /** The beginning of a line whose end has not come yet. */
  #held: Buffer[] = [];
  #heldBytes = 0;

  get lines(): number {
    return this.#lines;
  }

  *push(chunk: Buffer): Generator<ReadRecord, void> {
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to !== -1; to = chunk.indexOf(NEWLINE, from)) {
      yield* this.#line(chunk.subarray(from, to));
      from = to + 1;
    }
    this.#hold(chunk.subarray(from));
  }

  *end(): Generator<ReadRecord, void> {
    if (this.#heldBytes > 0) yield* this.#line(Buffer.alloc(0));
  }

  *#line(end: Buffer): Generator<ReadRecord, void> {
    this.#hold(end);
    const [only] = this.#held;
    const isWhole = this.#held.length === 1 && only !== undefined;
    const held = isWhole ? only : Buffer.concat(this.#held);
    const size = this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    this.#lines += 1;
    const line = this.#lines;
    if (size > MAX_LINE_BYTES) {
      yield tooLarge(line);
      return;
    }
    const hasMark = line === 1 && held.indexOf(BYTE_ORDER_MARK) === 0;
    const bytes = hasMark ? held.subarray(BYTE_ORDER_MARK.length) : held;
    if (!isBlank(bytes)) yield { line, size, document: orRefusal(() => documentOfJson(bytes)) };
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > MAX_LINE_BYTES) this.#held = [];
    else this.#held.push(bytes);
  }
}

/** Nothing but what JSON takes for white space. */
function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  return true;
}
