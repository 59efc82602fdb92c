import { isUtf8 } from 'node:buffer';
import { BSON } from 'mongodb';
import { EXACT_TYPES, type ExtendedJsonMode, jsonOf } from '../records/extended-json.ts';
import { BSON_TYPE, bufferOf, endOfName, endOfValue } from './bson-reader.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const NEWLINE = 0x0a;
/** What RFC 8259 has a short form for; other control characters are written as \u00xx. */
const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  ...{ 8: '\\b', 9: '\\t', 10: '\\n', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\' },
};
/** By byte: what has to be escaped in a JSON text. */
const ESCAPES: readonly (string | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20
    ? (SHORT_ESCAPES[byte] ?? `\\u${byte.toString(16).padStart(4, '0')}`)
    : SHORT_ESCAPES[byte],
);
/** Longer texts are looked at and copied as a whole. */
const SHORT_TEXT = 24;
const DAY_MS = 24 * 60 * 60 * 1_000;
const MAX_DATE_MS = 253_402_300_800_000;

/**
 * Writes documents as Extended JSON, each on a line, straight from their BSON: the same text as `JSON.stringify` of
 * {@link jsonOf} of the document, twice as fast, and with the fields in the order in which they are stored.
 *
 * Invalid UTF-8, which other programs may have stored, becomes U+FFFD.
 */
export class ExtendedJsonWriter {
  readonly #mode: ExtendedJsonMode;
  #out: Buffer;
  #at = 0;
  #day = Number.NaN;
  #dayText = '';

  constructor(mode: ExtendedJsonMode) {
    this.#mode = mode;
    this.#out = Buffer.allocUnsafe(1 << 16);
  }

  /** @returns the lines of these documents, in UTF-8 */
  lines(documents: readonly Uint8Array[]): Buffer {
    this.#begin(documents.reduce((sum, { length }) => sum + length, 0) * 2);
    for (const document of documents) {
      this.#document(bufferOf(document), 0, false);
      this.#byte(NEWLINE);
    }
    return this.#finish();
  }

  /** @returns the JSON text of the value of one element, as {@link Element} describes it */
  text(bytes: Buffer, type: number, value: number): string {
    this.#begin(256);
    this.#value(bytes, type, value);
    return this.#finish().toString();
  }

  #begin(size: number): void {
    this.#out = Buffer.allocUnsafe(size);
    this.#at = 0;
  }

  #finish(): Buffer {
    const written = this.#out.subarray(0, this.#at);
    return isUtf8(written) ? written : Buffer.from(written.toString());
  }

  #document(bytes: Buffer, from: number, isArray: boolean): void {
    this.#byte(isArray ? 0x5b : 0x7b);
    const first = from + 4;
    for (let next = first; bytes[next] !== 0; ) {
      const type = bytes[next] as number;
      const name = next + 1;
      const nameEnd = endOfName(bytes, name);
      if (next !== first) this.#byte(COMMA);
      if (!isArray) {
        this.#string(bytes, name, nameEnd);
        this.#byte(COLON);
      }
      next = this.#value(bytes, type, nameEnd + 1);
    }
    this.#byte(isArray ? 0x5d : 0x7d);
  }

  /** @returns where the value ends */
  #value(bytes: Buffer, type: number, at: number): number {
    switch (type) {
      case BSON_TYPE.string: {
        const length = bytes.readInt32LE(at);
        this.#string(bytes, at + 4, at + 3 + length);
        return at + 4 + length;
      }
      case BSON_TYPE.object:
      case BSON_TYPE.array:
        this.#document(bytes, at, type === BSON_TYPE.array);
        return at + bytes.readInt32LE(at);
      case BSON_TYPE.int:
        this.#ascii(this.#number('$numberInt', String(bytes.readInt32LE(at))));
        return at + 4;
      case BSON_TYPE.double:
        this.#ascii(this.#double(bytes.readDoubleLE(at)));
        return at + 8;
      case BSON_TYPE.long:
        this.#ascii(this.#long(bytes.readBigInt64LE(at)));
        return at + 8;
      case BSON_TYPE.objectId:
        this.#ascii(`{"$oid":"${bytes.toString('hex', at, at + 12)}"}`);
        return at + 12;
      case BSON_TYPE.date:
        this.#ascii(this.#date(bytes.readBigInt64LE(at)));
        return at + 8;
      case BSON_TYPE.boolean:
        this.#ascii(bytes[at] === 0 ? 'false' : 'true');
        return at + 1;
      case BSON_TYPE.null:
        this.#ascii('null');
        return at;
      default:
        return this.#rare(bytes, type, at);
    }
  }

  /** Types that are seldom stored go the ordinary way. */
  #rare(bytes: Buffer, type: number, at: number): number {
    const end = endOfValue(bytes, type, at);
    const { value } = BSON.deserialize(documentOf(type, bytes.subarray(at, end)), EXACT_TYPES);
    const text = Buffer.from(JSON.stringify(jsonOf(value, this.#mode)));
    this.#reserve(text.length);
    this.#at += text.copy(this.#out, this.#at);
    return end;
  }

  #number(name: string, text: string): string {
    return this.#mode === 'relaxed' ? text : `{"${name}":"${text}"}`;
  }

  #double(value: number): string {
    const isPlain = Number.isFinite(value) && !Object.is(value, -0);
    if (this.#mode === 'relaxed' && isPlain) return String(value);
    // As the driver writes it, so that a whole number is seen to be a double.
    const text = Number.isInteger(value) ? value.toFixed(1) : String(value);
    return `{"$numberDouble":"${Object.is(value, -0) ? '-0.0' : text}"}`;
  }

  #long(value: bigint): string {
    const number = Number(value);
    if (this.#mode === 'relaxed' && Number.isSafeInteger(number)) return String(number);
    return `{"$numberLong":"${value}"}`;
  }

  #date(value: bigint): string {
    const milliseconds = Number(value);
    const inRange = milliseconds >= 0 && milliseconds < MAX_DATE_MS;
    return this.#mode === 'relaxed' && inRange
      ? `{"$date":"${this.#iso(milliseconds)}"}`
      : `{"$date":{"$numberLong":"${value}"}}`;
  }

  /** As `toISOString`, for times that follow one another: the date is written once a day. */
  #iso(milliseconds: number): string {
    const day = Math.floor(milliseconds / DAY_MS);
    if (day !== this.#day) {
      this.#day = day;
      this.#dayText = new Date(day * DAY_MS).toISOString().slice(0, 11);
    }
    const rest = milliseconds - day * DAY_MS;
    const seconds = Math.floor(rest / 1_000);
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    const time = `${two(hours)}:${two(minutes % 60)}:${two(seconds % 60)}`;
    return `${this.#dayText}${time}.${String(rest % 1_000).padStart(3, '0')}Z`;
  }

  #string(bytes: Buffer, from: number, to: number): void {
    const isShort = to - from <= SHORT_TEXT;
    // Each escape is of six characters at most.
    this.#reserve(to - from + 2 + 5 * (isShort ? SHORT_TEXT : escapesIn(bytes, from, to)));
    const out = this.#out;
    let at = this.#at;
    out[at++] = QUOTE;
    let copied = from;
    for (let next = from; next < to; next += 1) {
      const byte = bytes[next] as number;
      if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
        if (isShort) out[at++] = byte;
        continue;
      }
      if (!isShort) at += bytes.copy(out, at, copied, next);
      copied = next + 1;
      at += out.write(ESCAPES[byte] as string, at, 'latin1');
    }
    if (!isShort) at += bytes.copy(out, at, copied, to);
    out[at++] = QUOTE;
    this.#at = at;
  }

  #ascii(text: string): void {
    this.#reserve(text.length);
    const out = this.#out;
    let at = this.#at;
    if (text.length > SHORT_TEXT) at += out.write(text, at, 'latin1');
    else for (let next = 0; next < text.length; next += 1) out[at++] = text.charCodeAt(next);
    this.#at = at;
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#out[this.#at++] = byte;
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#at + size));
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }
}

function two(number: number): string {
  return number < 10 ? `0${number}` : String(number);
}

function escapesIn(bytes: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at += 1) if (ESCAPES[bytes[at] as number] !== undefined) count += 1;
  return count;
}

/** A document with this value alone. */
function documentOf(type: number, value: Buffer): Buffer {
  const name = Buffer.from('value\0');
  const document = Buffer.alloc(4 + 1 + name.length + value.length + 1);
  document.writeInt32LE(document.length, 0);
  document[4] = type;
  name.copy(document, 5);
  value.copy(document, 5 + name.length);
  return document;
}
