import { BSON } from 'mongodb';
import { EXACT_TYPES } from './extended-json.ts';

/** Of BSON: an embedded document, and an array. */
const DOCUMENT = 3;
const ARRAY = 4;

/**
 * Reads a document as it is: a Map keeps its fields in their order, where an object would put names like "7" first, and a
 * document that looks like a reference stays a document. The driver writes Maps in their order, so what comes out here can
 * be compared with what is stored.
 *
 * @param bytes - of a document, which are valid
 * @see http://bsonspec.org/spec.html
 */
export function exactOf(bytes: Uint8Array): Map<string, unknown> {
  return new Map([...BSON.onDemand.parseToElements(bytes)].map((one) => entryOf(bytes, one)));
}

/** As {@link exactOf}, of the bytes of an array. */
export function exactArrayOf(bytes: Uint8Array): unknown[] {
  return [...exactOf(bytes).values()];
}

/** The bytes of the documents and arrays that a document holds, by their names. */
export function partsOf(bytes: Uint8Array): Record<string, Uint8Array> {
  return Object.fromEntries(
    [...BSON.onDemand.parseToElements(bytes)].map(([, nameAt, nameLength, at, length]) => [
      nameOf(bytes, nameAt, nameLength),
      bytes.subarray(at, at + length),
    ]),
  );
}

/**
 * A document for showing it. What is no text for UTF-8 is shown as U+FFFD rather than not at all.
 */
export function readableOf(bytes: Uint8Array): BSON.Document | Map<string, unknown> {
  // Of a reference to "fs.files" the driver would make one to "files" in the database "fs".
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes('$ref\0')
    ? exactOf(bytes)
    : objectOf(bytes);
}

function objectOf(bytes: Uint8Array): BSON.Document {
  return BSON.deserialize(bytes, { ...EXACT_TYPES, validation: { utf8: false } });
}

function entryOf(bytes: Uint8Array, element: BSON.OnDemand['BSONElement']): [string, unknown] {
  const [type, nameAt, nameLength, at, length] = element;
  const name = nameOf(bytes, nameAt, nameLength);
  const value = bytes.subarray(at, at + length);
  if (type === DOCUMENT) return [name, exactOf(value)];
  if (type === ARRAY) return [name, exactArrayOf(value)];
  return [name, scalarOf(type, value)];
}

function nameOf(bytes: Uint8Array, at: number, length: number): string {
  return BSON.onDemand.ByteUtils.toUTF8(bytes, at, at + length, false);
}

/** Has the driver read a document that holds the value alone, under an empty name. */
function scalarOf(type: number, value: Uint8Array): unknown {
  const size = 4 + 2 + value.length + 1;
  const alone = new Uint8Array(size);
  new DataView(alone.buffer).setInt32(0, size, true);
  alone[4] = type;
  alone.set(value, 6);
  return objectOf(alone)[''];
}
