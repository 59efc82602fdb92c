import fc from 'fast-check';
import {
  Binary,
  BSON,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from 'mongodb';
import { describe, expect, test } from 'vitest';
import { EXACT_TYPES, type ExtendedJsonMode, jsonOf } from '../../../src/records/extended-json.ts';
import { ExtendedJsonWriter } from '../../../src/transfers/extended-json-writer.ts';

const MODES: ExtendedJsonMode[] = ['relaxed', 'canonical'];

/** What the ordinary way makes of a document. */
function expected(bytes: Uint8Array, mode: ExtendedJsonMode): string {
  return `${JSON.stringify(jsonOf(BSON.deserialize(bytes, EXACT_TYPES), mode))}\n`;
}

/** A name that JavaScript keeps where it is put, and that the driver does not take for something else. */
const name = fc
  .string({ unit: 'binary', maxLength: 40 })
  .filter(
    (text) =>
      !/^\d+$|\0/.test(text) && !['_bsontype', '$ref', '$id', '$db', '__proto__'].includes(text),
  )
  .map((text) => text.toWellFormed());
const scalar = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }).map((text) => text.toWellFormed()),
  fc.double().map((value) => new Double(value)),
  fc.maxSafeInteger().map((value) => new Double(value)),
  fc.integer().map((value) => new Int32(value)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => Long.fromBigInt(value)),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => new ObjectId(bytes)),
  fc.uint8Array({ maxLength: 30 }).map((bytes) => new Binary(bytes, 0)),
  fc.constantFrom<unknown>(
    new MinKey(),
    new MaxKey(),
    new Timestamp({ t: 7, i: 4_294_967_295 }),
    Decimal128.fromString('-1.50E+3'),
    new BSON.BSONRegExp('^a"\\n', 'im'),
    new BSON.Code('() => 1'),
    new BSON.BSONSymbol('s"'),
    new BSON.UUID('0b3a2b1e-4c5d-4e6f-8a9b-0c1d2e3f4a5b'),
  ),
);
const document = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4 }),
  ),
})).value;

describe('ExtendedJsonWriter', () => {
  test.each(MODES)('writes what the ordinary way writes, %s', (mode) => {
    const writer = new ExtendedJsonWriter(mode);
    fc.assert(
      fc.property(fc.dictionary(name, document, { maxKeys: 6 }), (one) => {
        const bytes = BSON.serialize(one);
        expect(writer.lines([bytes]).toString()).toBe(expected(bytes, mode));
      }),
      { numRuns: 2_000 },
    );
  });

  test('writes one line for each document', () => {
    const documents = Array.from({ length: 3 }, (_, n) =>
      BSON.serialize({ n, text: 'x'.repeat(5e4) }),
    );
    const text = new ExtendedJsonWriter('relaxed').lines(documents).toString();
    expect(text.split('\n').map((line) => line && JSON.parse(line).n)).toEqual([0, 1, 2, '']);
  });

  test('keeps fields in the order in which they are stored, whatever their names', () => {
    const bytes = BSON.serialize(
      new Map([
        ['b', 1],
        ['2', 2],
        ['1', 3],
        ['__proto__', 4],
      ]),
    );
    expect(new ExtendedJsonWriter('relaxed').lines([bytes]).toString()).toBe(
      '{"b":1,"2":2,"1":3,"__proto__":4}\n',
    );
  });

  test('replaces what is no UTF-8, which other programs may have stored', () => {
    const bytes = Buffer.from(BSON.serialize({ text: 'abc' }));
    bytes[bytes.indexOf('b')] = 0xff;
    expect(new ExtendedJsonWriter('relaxed').lines([bytes]).toString()).toBe(
      '{"text":"a\ufffdc"}\n',
    );
  });

  test('writes references as the documents they are', () => {
    const reference = { $ref: 'people', $id: new ObjectId('65a1b2c3d4e5f60718293a4b') };
    const bytes = BSON.serialize({ reference });
    for (const mode of MODES)
      expect(new ExtendedJsonWriter(mode).lines([bytes]).toString()).toBe(expected(bytes, mode));
  });
});
