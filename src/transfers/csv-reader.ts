import type { Document } from 'mongodb';
import { AppError } from '../errors.ts';
import { InvalidExtendedJsonError, MAX_DEPTH, pointer } from '../records/extended-json.ts';
import { assertRecord } from '../records/record-document.ts';
import { assertFieldPath } from '../records/record-filter.ts';
import { recordIdOf } from '../records/record-id.ts';
import { type FormulaMode, unescapeFormula } from './csv-formulas.ts';
import { CsvSplitter, cellsOf, type SplitRecord } from './csv-splitter.ts';
import { CELL_TYPES, type CellTyping, looksLike, type ReadCell } from './csv-values.ts';
import {
  MalformedLineError,
  orRefusal,
  type ReadRecord,
  type RecordReader,
  textOf,
  tooLarge,
} from './import-records.ts';

/** A CSV may have so many columns, on the way in and out. */
export const MAX_COLUMNS = 1_000;
/** About what each field costs beside its name and its text. */
const FIELD_OVERHEAD = 16;

/** How a CSV is read. */
export interface CsvOptions {
  types: CellTyping;
  formulas: FormulaMode;
}

/** The first line does not say what the columns are. */
export class InvalidHeaderError extends AppError {
  constructor(message: string) {
    super('invalid', 'invalid_csv_header', message);
  }
}

interface Column {
  name: string;
  path: readonly string[];
  /** As a JSON Pointer. */
  pointer: string;
  read: ReadCell;
  typeName: string;
}

/**
 * Reads a CSV whose first line names the fields, in MongoDB's dotted form: `address.city` makes an object. An empty cell
 * is a field that the record does not have. `_id` is read as in URLs.
 */
export class CsvReader implements RecordReader {
  readonly #options: CsvOptions;
  readonly #splitter = new CsvSplitter();
  #columns: readonly Column[] | undefined;

  constructor(options: CsvOptions) {
    this.#options = options;
  }

  get lines(): number {
    return this.#splitter.lines;
  }

  push(chunk: Buffer): Iterable<ReadRecord> {
    return this.#read(this.#splitter.push(chunk));
  }

  end(): Iterable<ReadRecord> {
    return this.#read(this.#splitter.end());
  }

  /** @throws InvalidHeaderError */
  *#read(records: Iterable<SplitRecord>): Generator<ReadRecord, void> {
    for (const { line, bytes } of records) {
      if (this.#columns === undefined) {
        this.#columns = columnsOf(bytes, this.#options);
        continue;
      }
      const columns = this.#columns;
      if (bytes === 'too_large') yield tooLarge(line);
      else if (bytes === 'malformed') yield { line, size: 0, document: malformed() };
      else if (bytes.length > 0) {
        let size = 0;
        const document = orRefusal(() => {
          const cells = cellsOf(textOf(bytes));
          size = sizeOf(columns, cells);
          const made = this.#documentOf(columns, cells);
          assertRecord(made, size);
          return made;
        });
        yield { line, size, document };
      }
    }
  }

  #documentOf(columns: readonly Column[], cells: readonly string[]): Document {
    if (cells.length !== columns.length)
      throw new MalformedLineError(
        `The line has ${cells.length} cells, and the header has ${columns.length}.`,
      );
    const document: Document = {};
    for (const [index, column] of columns.entries()) {
      const cell = cells[index] ?? '';
      if (cell !== '') put(document, column, this.#valueOf(cell, column));
    }
    return document;
  }

  #valueOf(cell: string, { name, read, typeName, pointer }: Column): unknown {
    const isEscaped = this.#options.formulas === 'escape' && cell.startsWith("'");
    const text = isEscaped ? unescapeFormula(cell) : cell;
    if (name === '_id' && typeName === 'auto') return recordIdOf(text);
    // What was escaped has been a text.
    const value = isEscaped && typeName === 'auto' ? text : read(text);
    if (value === undefined)
      throw new InvalidExtendedJsonError({ path: pointer, message: `is no ${typeName}` });
    return value;
  }
}

function put(document: Document, { path, pointer }: Column, value: unknown): void {
  let place = document;
  for (const [depth, segment] of path.entries()) {
    if (depth === path.length - 1) {
      if (Object.hasOwn(place, segment)) throw overlapping(pointer);
      place[segment] = value;
      return;
    }
    if (!Object.hasOwn(place, segment)) place[segment] = {};
    const next: unknown = place[segment];
    const isObject =
      typeof next === 'object' && next !== null && Object.getPrototypeOf(next) === Object.prototype;
    if (!isObject) throw overlapping(pointer);
    place = next as Document;
  }
}

function overlapping(path: string): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path, message: 'has a value, and so has a part of it' });
}

function malformed(): MalformedLineError {
  return new MalformedLineError(
    'A quote that begins a cell is not closed, or something stands behind it.',
  );
}

function sizeOf(columns: readonly Column[], cells: readonly string[]): number {
  let size = 0;
  for (const [index, cell] of cells.entries())
    if (cell !== '') size += cell.length + (columns[index]?.name.length ?? 0) + FIELD_OVERHEAD;
  return size;
}

function columnsOf(bytes: SplitRecord['bytes'], options: CsvOptions): readonly Column[] {
  if (bytes === 'too_large') throw new InvalidHeaderError('The header is longer than 1 MiB.');
  if (bytes === 'malformed') throw new InvalidHeaderError(malformed().message);
  const text = headerText(bytes).replace(/^\ufeff/, '');
  const names = text === '' ? [] : cellsOf(text);
  if (names.length === 0) throw new InvalidHeaderError('The first line has to name the fields.');
  if (names.length > MAX_COLUMNS)
    throw new InvalidHeaderError(`There may be ${MAX_COLUMNS} columns at most.`);
  const [only = ''] = names;
  if (names.length === 1 && /[;\t|]/.test(only))
    throw new InvalidHeaderError(
      'The first line names one field, with other separators in it: cells have to be separated by commas.',
    );
  const columns = names.map((name) => columnOf(name, options));
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (seen.has(name)) throw new InvalidHeaderError(`Two columns are named ${name}.`);
    seen.add(name);
  }
  return columns;
}

function headerText(bytes: Buffer): string {
  try {
    return textOf(bytes);
  } catch (error) {
    if (error instanceof MalformedLineError) throw new InvalidHeaderError(error.message);
    throw error;
  }
}

function columnOf(cell: string, { types, formulas }: CsvOptions): Column {
  const header = formulas === 'escape' ? unescapeFormula(cell) : cell;
  const { name, typeName } = types === 'header' ? typedName(header) : untyped(header, types);
  const path = name.split('.');
  try {
    assertFieldPath(name, '');
  } catch (error) {
    if (error instanceof AppError) throw new InvalidHeaderError(`${name} is no name of a field.`);
    throw error;
  }
  const isStored = path.every((one) => one !== '' && one !== '__proto__' && one !== '_bsontype');
  if (!isStored || path.length > MAX_DEPTH)
    throw new InvalidHeaderError(`${name || 'An empty text'} is no name of a field.`);
  const read = CELL_TYPES[typeName] ?? looksLike;
  return { name, path, pointer: path.reduce(pointer, ''), read, typeName };
}

function untyped(name: string, types: 'auto' | 'text') {
  const typeName = types === 'text' && name !== '_id' ? 'string' : 'auto';
  return { name, typeName };
}

/** `age.int32()`, as in `mongoimport --columnsHaveTypes`. */
function typedName(header: string): { name: string; typeName: string } {
  const found = /^(.+)\.(\w+)\(\)$/.exec(header);
  const [, name, typeName] = found ?? [];
  if (name === undefined || typeName === undefined || !Object.hasOwn(CELL_TYPES, typeName))
    throw new InvalidHeaderError(
      `${header} is not of the form name.type(), with one of the types ${Object.keys(CELL_TYPES).join(', ')}.`,
    );
  return { name, typeName };
}
