/** The types of BSON elements, by the byte that says which it is. @see https://bsonspec.org/spec.html */
export const BSON_TYPE = {
  double: 0x01,
  string: 0x02,
  object: 0x03,
  array: 0x04,
  binary: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  dbPointer: 0x0c,
  code: 0x0d,
  symbol: 0x0e,
  codeWithScope: 0x0f,
  int: 0x10,
  timestamp: 0x11,
  long: 0x12,
  decimal: 0x13,
  maxKey: 0x7f,
  minKey: 0xff,
} as const;

const FIXED_SIZES: Readonly<Record<number, number>> = {
  [BSON_TYPE.double]: 8,
  [BSON_TYPE.undefined]: 0,
  [BSON_TYPE.objectId]: 12,
  [BSON_TYPE.boolean]: 1,
  [BSON_TYPE.date]: 8,
  [BSON_TYPE.null]: 0,
  [BSON_TYPE.int]: 4,
  [BSON_TYPE.timestamp]: 8,
  [BSON_TYPE.long]: 8,
  [BSON_TYPE.decimal]: 16,
  [BSON_TYPE.maxKey]: 0,
  [BSON_TYPE.minKey]: 0,
};

/** Where the NUL is that ends a name. */
export function endOfName(bytes: Buffer, at: number): number {
  let end = at;
  while (bytes[end] !== 0) {
    end += 1;
    if (end >= bytes.length) throw new Error('BSON that ends in a name');
  }
  return end;
}

/** @returns where the value that begins at `at` ends */
export function endOfValue(bytes: Buffer, type: number, at: number): number {
  const fixed = FIXED_SIZES[type];
  if (fixed !== undefined) return at + fixed;
  switch (type) {
    case BSON_TYPE.object:
    case BSON_TYPE.array:
    case BSON_TYPE.codeWithScope:
      return at + bytes.readInt32LE(at);
    case BSON_TYPE.string:
    case BSON_TYPE.code:
    case BSON_TYPE.symbol:
      return at + 4 + bytes.readInt32LE(at);
    case BSON_TYPE.binary:
      return at + 5 + bytes.readInt32LE(at);
    case BSON_TYPE.regex:
      return endOfName(bytes, endOfName(bytes, at) + 1) + 1;
    case BSON_TYPE.dbPointer:
      return at + 4 + bytes.readInt32LE(at) + 12;
    default:
      throw new Error(`there is no type ${type} in BSON`);
  }
}

/** One element of a document: its name and value are the bytes between these places. */
export interface Element {
  type: number;
  name: number;
  value: number;
  end: number;
}

/** Goes through the elements of the document or array that begins at `at`. */
export function* elementsOf(bytes: Buffer, at = 0): Generator<Element, void> {
  for (let next = at + 4; bytes[next] !== 0; ) {
    const type = bytes[next] as number;
    const name = next + 1;
    const value = endOfName(bytes, name) + 1;
    const end = endOfValue(bytes, type, value);
    yield { type, name, value, end };
    next = end;
  }
}

/** A `Buffer` on the same bytes. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
