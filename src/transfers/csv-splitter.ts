import { MAX_LINE_BYTES } from './import-records.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const QUOTE = 0x22;
const COMMA = 0x2c;

/**
 * Where the splitter is in a record: before a cell, in one without quotes, in one with quotes, behind its closing quote,
 * behind the CR of a line break after that.
 */
type State = 'start' | 'plain' | 'quoted' | 'closed' | 'return';

/** A record of a CSV, not yet taken apart. */
export interface SplitRecord {
  /** The line on which it begins. */
  line: number;
  /** Without the line break at its end. Or that it is larger than any may be, or something stands behind a closing quote. */
  bytes: Buffer | 'too_large' | 'malformed';
}

/**
 * Finds the records in a CSV (RFC 4180), some of which hold line breaks between quotes. Of a record that is malformed or too
 * large the first line is given up, and reading goes on with the next line: a quote that is not closed costs one line,
 * not all that follow. A quote in the middle of a cell that does not begin with one is a character like others.
 */
export class CsvSplitter {
  #lines = 0;
  /** What belongs to the record under way. */
  #held: Buffer = Buffer.alloc(0);
  /** How much of that has been looked at. */
  #seen = 0;
  #state: State = 'start';
  /** The rest of a line that was given up is not kept. */
  #isSkipping = false;

  /** How many lines have ended. */
  get lines(): number {
    return this.#lines;
  }

  *push(chunk: Buffer): Generator<SplitRecord, void> {
    let rest = chunk;
    if (this.#isSkipping) {
      const end = rest.indexOf(NEWLINE);
      if (end === -1) return;
      this.#isSkipping = false;
      this.#lines += 1;
      rest = rest.subarray(end + 1);
    }
    this.#held = this.#held.length === 0 ? rest : Buffer.concat([this.#held, rest]);
    yield* this.#split();
  }

  *end(): Generator<SplitRecord, void> {
    // Giving up a line leaves others behind it.
    while (this.#held.length > 0) {
      if (this.#state === 'quoted') yield* this.#giveUp();
      else {
        const line = this.#lines + 1;
        const bytes = this.#held;
        this.#take(bytes.length);
        yield { line, bytes: withoutReturn(bytes) };
      }
      yield* this.#split();
    }
    if (this.#isSkipping) this.#lines += 1;
    this.#isSkipping = false;
  }

  *#split(): Generator<SplitRecord, void> {
    while (this.#seen < this.#held.length) {
      const end = this.#scan();
      if (end === 'malformed' || this.#seen > MAX_LINE_BYTES) yield* this.#giveUp();
      else if (end === 'record') {
        const line = this.#lines + 1;
        const bytes = this.#held.subarray(0, this.#seen - 1);
        this.#take(this.#seen);
        yield { line, bytes: withoutReturn(bytes) };
      }
    }
  }

  /** Looks at what has not been seen yet, up to the end of the record. */
  #scan(): 'record' | 'malformed' | 'more' {
    const held = this.#held;
    const limit = Math.min(held.length, MAX_LINE_BYTES + 1);
    let state = this.#state;
    let at = this.#seen;
    let found: 'record' | 'malformed' | 'more' = 'more';
    while (at < limit && found === 'more') {
      const byte = held[at] as number;
      at += 1;
      if (state === 'quoted') {
        if (byte === QUOTE) state = 'closed';
      } else if (byte === NEWLINE) found = 'record';
      else if (state === 'return') found = 'malformed';
      else if (byte === COMMA) state = 'start';
      else if (byte === QUOTE && state !== 'plain') state = 'quoted';
      else if (state === 'start') state = 'plain';
      else if (state === 'closed' && byte === RETURN) state = 'return';
      else if (state === 'closed') found = 'malformed';
    }
    this.#seen = at;
    this.#state = found === 'record' ? 'start' : state;
    return found;
  }

  *#giveUp(): Generator<SplitRecord, void> {
    const line = this.#lines + 1;
    const end = this.#held.indexOf(NEWLINE);
    const isLongLine = this.#seen > MAX_LINE_BYTES && (end === -1 || end > MAX_LINE_BYTES);
    if (end === -1) {
      this.#isSkipping = true;
      this.#held = Buffer.alloc(0);
      this.#restart();
    } else this.#take(end + 1);
    yield { line, bytes: isLongLine ? 'too_large' : 'malformed' };
  }

  /** Has done with the first so many bytes. */
  #take(size: number): void {
    const taken = this.#held.subarray(0, size);
    for (let at = taken.indexOf(NEWLINE); at !== -1; at = taken.indexOf(NEWLINE, at + 1))
      this.#lines += 1;
    if (taken.at(-1) !== NEWLINE) this.#lines += 1;
    this.#held = this.#held.subarray(size);
    this.#restart();
  }

  #restart(): void {
    this.#seen = 0;
    this.#state = 'start';
  }
}

function withoutReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes;
}

/** @param text - a record that is well formed */
export function cellsOf(text: string): string[] {
  const cells: string[] = [];
  for (let at = 0; ; ) {
    if (text[at] === '"') {
      let end = at + 1;
      while (text[end] !== '"' || text[end + 1] === '"') end += text[end] === '"' ? 2 : 1;
      cells.push(text.slice(at + 1, end).replaceAll('""', '"'));
      at = end + 1;
    } else {
      const comma = text.indexOf(',', at);
      const end = comma === -1 ? text.length : comma;
      cells.push(text.slice(at, end));
      at = end;
    }
    if (text[at] !== ',') return cells;
    at += 1;
  }
}
