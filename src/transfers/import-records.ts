import type { Document } from 'mongodb';
import { AppError } from '../errors.ts';
import {
  bsonOf,
  InvalidExtendedJsonError,
  isTyped,
  parseExactJson,
} from '../records/extended-json.ts';
import { assertRecord } from '../records/record-document.ts';
import { RecordTooLargeError } from '../records/record-errors.ts';

/** What a line, or a record of several lines, may take in the body of an import. */
export const MAX_LINE_BYTES = 1024 * 1024;

/** One record of an import, as it was read. */
export interface ReadRecord {
  /** The line on which it begins, counted from 1. */
  line: number;
  /** About how many bytes it takes. */
  size: number;
  /** Or what is wrong with it. */
  document: Document | AppError;
}

/** What a format makes of the next piece of a body: the records that it completes. */
export interface RecordReader {
  push(chunk: Buffer): Iterable<ReadRecord>;
  /** At the end of the body. */
  end(): Iterable<ReadRecord>;
  /** How many lines there have been. */
  readonly lines: number;
}

/** A line of the body that cannot be read. */
export class MalformedLineError extends AppError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('malformed', 'malformed_line', message, options);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws MalformedLineError unless it is UTF-8 */
export function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new MalformedLineError('The line is not well-formed UTF-8.', { cause });
  }
}

/** @returns what `read` makes of a line, or why it cannot be a record */
export function orRefusal(read: () => Document): Document | AppError {
  try {
    return read();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** Says that a record is larger than any may be. */
export function tooLarge(line: number): ReadRecord {
  return { line, size: 0, document: new RecordTooLargeError() };
}

/** @throws MalformedLineError, InvalidExtendedJsonError, RecordTooLargeError */
export function documentOfJson(bytes: Buffer): Document {
  const parsed = parsedJson(textOf(bytes));
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  if (!isObject || isTyped(parsed))
    throw new InvalidExtendedJsonError({ path: '', message: 'must be an object with fields' });
  const document = bsonOf(parsed, '') as Document;
  assertRecord(document, bytes.length);
  return document;
}

function parsedJson(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch (cause) {
    throw new MalformedLineError('The line is not well-formed JSON.', { cause });
  }
}
