import fc from 'fast-check';
import { BSON, type Document } from 'mongodb';
import { expect, test } from 'vitest';
import { bsonOf, EXACT_TYPES, jsonOf, parseExactJson } from '../../src/records/extended-json.ts';

/** As the database gives it back. */
function stored(document: unknown): Document {
  return BSON.deserialize(BSON.serialize(document as Document), EXACT_TYPES);
}

const read = (text: string) => bsonOf(parseExactJson(text), '');

/** Names and texts of any kind that can be stored. */
const names = fc
  .string({ unit: 'binary' })
  .filter(
    (name) =>
      !name.startsWith('$') && !name.includes('\0') && !['__proto__', '_bsontype'].includes(name),
  );
const documents = fc.dictionary(
  names,
  fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'binary' }),
      // A whole number beyond 2^53 comes back as a `$numberLong`, which says exactly what it is.
      fc
        .double({ noNaN: true, noDefaultInfinity: true })
        .filter((one) => !Number.isInteger(one) || Number.isSafeInteger(one)),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(names, tie('value'), { maxKeys: 4 }),
    ),
  })).value,
  { maxKeys: 6 },
);

test('any JSON document comes back as it was sent, in either mode', () => {
  fc.assert(
    fc.property(documents, (document) => {
      const text = JSON.stringify(document);
      const found = stored(read(text));
      for (const mode of ['relaxed', 'canonical'] as const)
        expect(stored(read(JSON.stringify(jsonOf(found, mode))))).toEqual(found);
      // JSON has no -0: JSON.stringify writes 0.
      expect(JSON.parse(JSON.stringify(jsonOf(found, 'relaxed')))).toEqual(JSON.parse(text));
    }),
    { numRuns: 500 },
  );
});

test.for([
  ['{"$oid":"66f1c0ffee0ddba11ca75a1e"}', 'objectId'],
  ['{"$date":{"$numberLong":"1795514400123"}}', 'date'],
  ['{"$date":{"$numberLong":"-62135596800001"}}', 'a date before the year 1'],
  ['{"$numberLong":"9223372036854775807"}', 'long'],
  ['{"$numberInt":"42"}', 'int'],
  ['{"$numberDouble":"1.0"}', 'double'],
  ['{"$numberDouble":"NaN"}', 'NaN'],
  ['{"$numberDouble":"-0.0"}', '-0'],
  ['{"$numberDecimal":"0.10"}', 'decimal'],
  ['{"$binary":{"base64":"AQID","subType":"00"}}', 'binary'],
  ['{"$binary":{"base64":"c//SZESzTGmQ6OfR38A11A==","subType":"04"}}', 'uuid'],
  ['{"$timestamp":{"t":1,"i":4294967295}}', 'timestamp'],
  ['{"$regularExpression":{"pattern":"^a","options":"i"}}', 'regular expression'],
  ['{"$minKey":1}', 'minKey'],
  ['{"$maxKey":1}', 'maxKey'],
  ['{"$ref":"people","$id":{"$oid":"66f1c0ffee0ddba11ca75a1e"},"$db":"other"}', 'DBRef'],
])('%s comes back with its type', ([text]) => {
  const found = stored({ value: read(text as string) });
  expect(JSON.stringify(jsonOf(found, 'canonical'))).toBe(`{"value":${text}}`);
});

test('a whole number that JavaScript cannot hold is kept', () => {
  const found = stored(read('{"n":9007199254740993,"m":-9223372036854775808,"x":1e30}'));
  expect(JSON.stringify(jsonOf(found, 'relaxed'))).toBe(
    '{"n":{"$numberLong":"9007199254740993"},"m":{"$numberLong":"-9223372036854775808"},"x":1e+30}',
  );
});

test.for([
  ['{"a":{"$oid":"xyz"}}', '/a'],
  ['{"a":[{"$date":"yesterday"}]}', '/a/0'],
  ['{"a":{"$numberInt":"2147483648"}}', '/a'],
  ['{"a":{"$numberLong":"9223372036854775808"}}', '/a'],
  ['{"a":{"$oid":"66f1c0ffee0ddba11ca75a1e","b":1}}', '/a'],
  ['{"a":{"$where":"1"}}', '/a/$where'],
  ['{"$set":{"a":1}}', '/$set'],
  ['{"a":{"_bsontype":"ObjectId"}}', '/a/_bsontype'],
  ['{"a\\u0000b":1}', '/a\0b'],
  ['{"a":"\\ud800"}', '/a'],
  ['{"a/b":{"c~d":{"$x":1}}}', '/a~1b/c~0d/$x'],
  [`{"a":${'['.repeat(65)}${']'.repeat(65)}}`, `/a${'/0'.repeat(64)}`],
])('%s is refused, and the error names %s', ([text, path]) => {
  expect(() => read(text as string)).toThrow(
    expect.objectContaining({ errors: [expect.objectContaining({ path })] }),
  );
});
