import { BSON } from 'mongodb';
import { EXACT_TYPES } from '../records/extended-json.ts';
import { recordIdText } from '../records/record-id.ts';
import { BSON_TYPE, bufferOf, type Element, elementsOf } from './bson-reader.ts';
import { isNested } from './csv-columns.ts';
import { escapeFormula, type FormulaMode } from './csv-formulas.ts';
import { scalarText } from './csv-values.ts';
import { ExtendedJsonWriter } from './extended-json-writer.ts';

/** Writes documents as CSV (RFC 4180), straight from their BSON: one line each, one column for each path. */
export class CsvWriter {
  readonly #columns: ReadonlyMap<string, number>;
  readonly #formulas: FormulaMode;
  readonly #json = new ExtendedJsonWriter('relaxed');

  /** @param paths - of the fields, in MongoDB's dotted form */
  constructor(paths: readonly string[], formulas: FormulaMode) {
    this.#columns = new Map(paths.map((path, index) => [path, index]));
    this.#formulas = formulas;
  }

  header(): Buffer {
    return Buffer.from(line([...this.#columns.keys()].map((path) => this.#safe(path))));
  }

  lines(documents: readonly Uint8Array[]): Buffer {
    return Buffer.from(documents.map((document) => this.#line(bufferOf(document))).join(''));
  }

  #line(bytes: Buffer): string {
    const cells = new Array<string>(this.#columns.size).fill('');
    this.#fill(cells, bytes, 0, '');
    return line(cells);
  }

  #fill(cells: string[], bytes: Buffer, at: number, prefix: string): void {
    for (const element of elementsOf(bytes, at)) {
      const { type, name, value } = element;
      const path = prefix + bytes.toString('utf8', name, value - 1);
      const column = this.#columns.get(path);
      if (column !== undefined) cells[column] = this.#cell(path, bytes, element);
      else if (isNested(bytes, type, value)) this.#fill(cells, bytes, value, `${path}.`);
    }
  }

  #cell(path: string, bytes: Buffer, element: Element): string {
    const { type, value } = element;
    if (path === '_id' && type !== BSON_TYPE.objectId)
      return this.#safe(recordIdText(decodedOf(bytes, element)));
    const text = scalarText(bytes, element) ?? this.#json.text(bytes, type, value);
    // A negative number is no formula.
    return type === BSON_TYPE.string || type === BSON_TYPE.symbol ? this.#safe(text) : text;
  }

  #safe(text: string): string {
    return this.#formulas === 'escape' ? escapeFormula(text) : text;
  }
}

function decodedOf(bytes: Buffer, { type, name, end }: Element): unknown {
  const document = Buffer.allocUnsafe(4 + 1 + end - name + 1);
  document.writeInt32LE(document.length, 0);
  document[4] = type;
  bytes.copy(document, 5, name, end);
  document[document.length - 1] = 0;
  return Object.values(BSON.deserialize(document, EXACT_TYPES))[0];
}

function line(cells: readonly string[]): string {
  return `${cells.map(quoted).join(',')}\r\n`;
}

function quoted(cell: string): string {
  return /[",\r\n]|^[ \t\ufeff]|[ \t]$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
