import { AppError } from '../errors.ts';
import { BSON_TYPE, bufferOf, elementsOf } from './bson-reader.ts';
import { MAX_COLUMNS } from './csv-reader.ts';

/** An empty document or array: its size and its end. */
const EMPTY_BYTES = 5;

export class TooManyColumnsError extends AppError {
  constructor() {
    const message = `The records have more than ${MAX_COLUMNS} different fields: say with fields= which are wanted.`;
    super('invalid', 'too_many_columns', message);
  }
}

/** Finds the columns that a CSV of these records needs: one for each field that is no object, in the order of first sight. */
export class CsvColumns {
  readonly #paths = new Set<string>();

  /** @throws TooManyColumnsError */
  add(documents: readonly Uint8Array[]): void {
    for (const document of documents) this.#addAll(bufferOf(document), 0, '');
  }

  /** The columns. What is an object in some records and a plain value in others has one column, for both. */
  get paths(): string[] {
    return [...this.#paths].filter((path) => !this.#hasParent(path));
  }

  /** @throws TooManyColumnsError */
  addPath(path: string): void {
    if (this.#paths.has(path)) return;
    if (this.#paths.size === MAX_COLUMNS) throw new TooManyColumnsError();
    this.#paths.add(path);
  }

  #addAll(bytes: Buffer, at: number, prefix: string): void {
    for (const { type, name, value } of elementsOf(bytes, at)) {
      const path = prefix + bytes.toString('utf8', name, value - 1);
      if (isNested(bytes, type, value)) this.#addAll(bytes, value, `${path}.`);
      else this.addPath(path);
    }
  }

  #hasParent(path: string): boolean {
    for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1))
      if (this.#paths.has(path.slice(0, dot))) return true;
    return false;
  }
}

/** Whether a value is an object with fields, which have columns of their own. */
export function isNested(bytes: Buffer, type: number, value: number): boolean {
  return type === BSON_TYPE.object && bytes.readInt32LE(value) > EMPTY_BYTES;
}
