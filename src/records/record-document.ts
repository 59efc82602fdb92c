import { createHash } from 'node:crypto';
import { BSON, type Document, ObjectId, Timestamp } from 'mongodb';
import { bsonOf, InvalidExtendedJsonError, isTyped, pointer } from './extended-json.ts';
import { RecordTooLargeError } from './record-errors.ts';

/** In BSON. */
const MAX_RECORD_BYTES = 1_048_576;
/** So many times its text a document takes at most: `1,` in a list becomes a type, an index and four bytes. */
const MAX_GROWTH = 8;
/** So that it fits into URLs and headers, whatever it is made of. */
const MAX_ID_BYTES = 512;

/** A record: its fields in their order, `_id` first, and the bytes it is stored in. */
export interface StoredRecord {
  fields: ReadonlyMap<string, unknown>;
  bytes: Uint8Array;
}

/**
 * Makes a record of a body.
 *
 * @param path - of the body, as a JSON Pointer, for errors
 * @param makeId - gives the `_id` where the body has none
 * @throws InvalidExtendedJsonError, RecordTooLargeError
 */
export function recordOf(
  body: Record<string, unknown>,
  path: string,
  makeId: () => unknown,
): StoredRecord {
  if (isTyped(body)) throw refused(path, 'must be a document, not a value of another type');
  const fields = bsonOf(body, path) as Document;
  const isNew = fields._id === undefined;
  const _id = isNew ? makeId() : fields._id;
  if (!isNew) assertId(_id, `${path}/_id`);
  return storedRecord(new Map([['_id', _id], ...Object.entries(fields)]), path);
}

/**
 * @param fields - in their order, `_id` first
 * @throws RecordTooLargeError, InvalidExtendedJsonError
 */
export function storedRecord(fields: ReadonlyMap<string, unknown>, path: string): StoredRecord {
  assertNoClockTime(fields, path);
  const bytes = bytesOf(fields as unknown as Document);
  if (bytes.length > MAX_RECORD_BYTES) throw new RecordTooLargeError();
  return { fields, bytes };
}

/**
 * Checks a document that was read from `size` bytes of text for what {@link recordOf} does.
 *
 * @throws InvalidExtendedJsonError, RecordTooLargeError
 */
export function assertRecord(document: Document, size: number): void {
  if (document._id !== undefined) assertId(document._id, '/_id');
  assertNoClockTime(Object.entries(document), '');
  // Measuring takes time, and few texts are long enough to become so much.
  const isLong = size * MAX_GROWTH > MAX_RECORD_BYTES;
  if (isLong && BSON.calculateObjectSize(document) > MAX_RECORD_BYTES)
    throw new RecordTooLargeError();
}

/** MongoDB would put its clock's time in the place of a timestamp of 0. */
function assertNoClockTime(fields: Iterable<[string, unknown]>, path: string): void {
  for (const [name, value] of fields)
    if (value instanceof Timestamp && value.isZero() && name !== '_id')
      throw refused(pointer(path, name), 'is a timestamp of 0, which cannot be stored here');
}

/** @throws InvalidExtendedJsonError unless a record may have this `_id` */
export function assertId(id: unknown, path: string): void {
  if (id === null || id === undefined) throw refused(path, 'must be a value');
  if (Array.isArray(id)) throw refused(path, 'must not be a list');
  if (id instanceof BSON.BSONRegExp) throw refused(path, 'must not be a regular expression');
  if (BSON.calculateObjectSize({ id }) > MAX_ID_BYTES)
    throw refused(path, `must take at most ${MAX_ID_BYTES} bytes`);
}

/** Whether two ids are the same, types included. */
export function isSameId(one: unknown, other: unknown): boolean {
  return isSame(BSON.serialize({ id: one }), BSON.serialize({ id: other }));
}

export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** The ids of what one request makes, which are the same whenever it is repeated, and rise. */
export function derivedId(base: ObjectId, index: number): ObjectId {
  const bytes = Buffer.alloc(12);
  bytes.set(base.id.subarray(0, 4));
  bytes.set(createHash('sha256').update(base.id).digest().subarray(0, 5), 4);
  bytes.writeUIntBE(index, 9, 3);
  return new ObjectId(bytes);
}

/** As {@link recordOf}, for a body that may have this `_id` and no other. */
export function recordWithId(body: Record<string, unknown>, id: unknown): StoredRecord {
  const record = recordOf(body, '', () => id);
  if (!isSameId(record.fields.get('_id'), id)) throw idChanged();
  return record;
}

/** Whether no other id is equal to this one. */
export function isExact(id: unknown): boolean {
  return id instanceof ObjectId || typeof id === 'string';
}

export function idChanged(): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path: '/_id', message: 'cannot be changed' });
}

function bytesOf(fields: Document): Uint8Array {
  try {
    return BSON.serialize(fields);
  } catch (cause) {
    // The driver has room for 17 MiB.
    throw cause instanceof RangeError ? new RecordTooLargeError({ cause }) : cause;
  }
}

function refused(path: string, message: string): InvalidExtendedJsonError {
  return new InvalidExtendedJsonError({ path, message });
}
