import fc from 'fast-check';
import { BSON } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { escapeFormula, unescapeFormula } from '../../../src/transfers/csv-formulas.ts';
import { CsvReader } from '../../../src/transfers/csv-reader.ts';
import { CsvSplitter, cellsOf } from '../../../src/transfers/csv-splitter.ts';
import { CsvWriter } from '../../../src/transfers/csv-writer.ts';
import type { ReadRecord } from '../../../src/transfers/import-records.ts';

/** Texts full of what matters to a CSV. */
const cell = fc
  .array(fc.constantFrom('a', '"', ',', '\r', '\n', "'", '=', '+', ' ', '\t', 'é', '\ufeff', '1'), {
    maxLength: 8,
  })
  .map((signs) => signs.join(''));

/** Cuts a body into pieces of these sizes. */
function* pieces(body: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, n = 0; at < body.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    yield body.subarray(at, at + size);
    at += size;
  }
}

describe('CSV', () => {
  test('what is written is read again, wherever the body is cut', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 6 }), sizes, (rows, cuts) => {
        const writer = new CsvWriter(['a', 'b'], 'escape');
        const documents = rows.map(([a, b]) => BSON.serialize({ a, b }));
        const body = Buffer.concat([writer.header(), writer.lines(documents)]);
        const reader = new CsvReader({ types: 'text', formulas: 'escape' });
        const read: ReadRecord[] = [];
        for (const piece of pieces(body, cuts)) read.push(...reader.push(piece));
        read.push(...reader.end());
        const expected = rows.map(([a, b]) => ({ ...(a && { a }), ...(b && { b }) }));
        expect(read.map(({ document }) => document)).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test('any bytes are split into records, the same wherever they are cut, and no line is lost', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 8 }), sizes, (cells, cuts) => {
        const body = Buffer.from(cells.join(''));
        const split = (sizesOfPieces: readonly number[]) => {
          const splitter = new CsvSplitter();
          const records = [];
          for (const piece of pieces(body, sizesOfPieces)) records.push(...splitter.push(piece));
          records.push(...splitter.end());
          for (const { bytes } of records) if (typeof bytes !== 'string') cellsOf(bytes.toString());
          return {
            records: records.map(({ line, bytes }) => [line, String(bytes)]),
            lines: splitter.lines,
          };
        };
        const whole = split([body.length || 1]);
        expect(split(cuts)).toEqual(whole);
        const text = body.toString();
        const lines = text === '' ? 0 : text.replace(/\n$/, '').split('\n').length;
        expect(whole.lines).toBe(lines);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a formula is made harmless, and comes back', () => {
    fc.assert(
      fc.property(cell, (text) => {
        const escaped = escapeFormula(text);
        expect(escaped).not.toMatch(/^[=+\-@\t\r]/);
        expect(unescapeFormula(escaped)).toBe(text);
      }),
    );
  });
});
