import { type Collection, type Document, Long, ObjectId } from 'mongodb';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OrganizationRecords } from '../../src/library/organization-records.ts';
import { libraryOf } from '../support/library.ts';
import { signUpAndIn, startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
let version: number;
let records: OrganizationRecords;
/** The organization's collection, and one beside it, as a plain driver sees them. */
let own: Collection;
let plain: Collection;

beforeAll(async () => {
  service = await startTestService();
  const { organization } = await signUpAndIn(service);
  ({ records } = await libraryOf(service).organizationById(organization.id));
  own = service.db.collection(organization.collection_name);
  plain = await service.db.createCollection('plain');
  version = Number.parseInt((await service.db.admin().buildInfo()).version, 10);
  return () => service[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const collection of [own, plain]) {
    await collection.deleteMany({});
    await collection.dropIndexes();
  }
});

/** What the driver and the library both have. */
type Records = Collection<Document> | OrganizationRecords<Document>;

/** Ids that are the same in both runs. */
const id = (n: number) => new ObjectId(n.toString(16).padStart(24, '0'));

const SEED = [
  { _id: 1, kind: 'a', n: 1, tags: ['x', 'y'], deep: [{ v: 1 }, { v: [2, 3] }] },
  { _id: 2, kind: 'b', n: 2, tags: [], deep: [] },
  { _id: 3, kind: 'a', n: 3, tags: ['y'], note: null },
  { _id: 'four', kind: 'b', n: Long.fromString('9007199254740993'), tags: 'z' },
] as Document[];

/** Each is done to a collection of its own, once through a plain driver and once through the library. */
const CALLS: Record<string, (records: Records) => Promise<unknown>> = {
  'insertOne with an id': (r) => r.insertOne({ _id: id(9), n: 9 } as Document),
  'insertOne, which gives an id': async (r) => {
    const document: Document = { n: 9 };
    const { acknowledged, insertedId } = await r.insertOne(document);
    return [acknowledged, insertedId instanceof ObjectId, insertedId.equals(document._id)];
  },
  'insertOne of a null id': async (r) => {
    const document = { _id: null, n: 9 } as unknown as Document;
    await r.insertOne(document);
    return document._id instanceof ObjectId;
  },
  'insertOne of a duplicate': (r) => r.insertOne({ _id: 1 } as Document),
  insertMany: (r) => r.insertMany([{ _id: id(8) }, { _id: id(9) }] as Document[]),
  'insertMany of nothing': (r) => r.insertMany([]),
  'insertMany with a duplicate': (r) =>
    r.insertMany([{ _id: 8 }, { _id: 1 }, { _id: 9 }] as Document[]),
  'insertMany with duplicates, unordered': (r) =>
    r.insertMany([{ _id: 8 }, { _id: 1 }, { _id: 9 }, { _id: 2 }] as Document[], {
      ordered: false,
    }),
  'insertMany of a duplicate under a unique index': async (r) => {
    await r.createIndex({ n: 1 }, { unique: true });
    await r.insertMany([{ _id: 8, n: 1 }] as Document[]);
  },
  updateOne: (r) => r.updateOne({ kind: 'a' }, { $inc: { n: 1 } }),
  'updateOne that changes nothing': (r) => r.updateOne({ _id: 1 as never }, { $set: { n: 1 } }),
  'updateOne without a match': (r) => r.updateOne({ kind: 'c' }, { $set: { n: 1 } }),
  'updateOne that upserts': (r) =>
    r.updateOne({ _id: id(9) }, { $set: { n: 1 } }, { upsert: true }),
  'updateOne with a pipeline': (r) =>
    r.updateOne({ _id: 1 as never }, [{ $set: { twice: { $multiply: ['$n', 2] } } }]),
  'updateOne with array filters': (r) =>
    r.updateOne({ _id: 1 as never }, { $set: { 'tags.$[one]': 'w' } } as Document, {
      arrayFilters: [{ one: 'x' }],
    }),
  'updateOne without operators': (r) => r.updateOne({}, { n: 1 } as Document),
  'updateOne with let': (r) =>
    r.updateOne({ $expr: { $eq: ['$n', '$$n'] } }, { $set: { hit: true } }, { let: { n: 3 } }),
  'updateOne that the server refuses': (r) => r.updateOne({}, { $noSuchOperator: 1 } as Document),
  updateMany: (r) => r.updateMany({ kind: 'a' }, { $set: { seen: true } }),
  'updateMany that upserts': (r) =>
    r.updateMany({ _id: id(9) }, { $set: { n: 1 } }, { upsert: true }),
  replaceOne: (r) => r.replaceOne({ _id: 1 as never }, { other: true }),
  'replaceOne that upserts': (r) => r.replaceOne({ _id: id(9) }, { n: 9 }, { upsert: true }),
  'replaceOne with operators': (r) => r.replaceOne({}, { $set: { n: 1 } } as Document),
  deleteOne: (r) => r.deleteOne({ kind: 'a' }),
  'deleteOne with a collation': (r) =>
    r.deleteOne({ kind: 'A' }, { collation: { locale: 'en', strength: 2 } }),
  deleteMany: (r) => r.deleteMany({ kind: 'b' }),
  'deleteMany of everything': (r) => r.deleteMany({}),
  find: (r) => r.find({}).toArray(),
  'find with a filter and options': (r) =>
    r.find({ kind: 'a' }, { sort: { n: -1 }, projection: { n: 1 }, limit: 1 }).toArray(),
  'find, built up': (r) =>
    r.find().sort('n', -1).skip(1).limit(2).project({ n: 1, _id: 0 }).batchSize(1).toArray(),
  'find with a negative limit': (r) =>
    r
      .find({}, { sort: { n: 1 } })
      .limit(-2)
      .toArray(),
  'find with a hint and a comment': (r) =>
    r.find({}).hint({ _id: 1 }).comment('why').maxTimeMS(500).toArray(),
  'find, one after the other': async (r) => {
    const cursor = r.find({}).sort({ n: 1 }).batchSize(1);
    const found = [await cursor.hasNext(), await cursor.next(), await cursor.next()];
    for await (const one of cursor) found.push(one);
    return [...found, await cursor.next(), cursor.closed];
  },
  'find, left early': async (r) => {
    const cursor = r.find({}).sort({ n: 1 }).batchSize(1);
    for await (const one of cursor) if (one.n === 2) break;
    return [await cursor.next(), cursor.closed];
  },
  'find as a stream': async (r) => {
    const found: Document[] = [];
    for await (const one of r.find({}).sort({ n: 1 }).stream()) found.push(one);
    return found;
  },
  'bulkWrite with options of the command': async (r) =>
    countsOf(
      await r.bulkWrite(
        [
          { insertOne: { document: { _id: 8 } as Document } },
          {
            updateOne: {
              filter: { $expr: { $eq: ['$n', '$$two'] } },
              update: { $set: { hit: true } },
            },
          },
          { deleteOne: { filter: { $expr: { $eq: ['$_id', '$$two'] } } } },
        ],
        { let: { two: 2 }, bypassDocumentValidation: true, comment: 'why' },
      ),
    ),
  'find with map': (r) =>
    r
      .find({})
      .sort({ n: 1 })
      .map(({ n }) => Number(n))
      .map((n) => n * 2)
      .toArray(),
  'find, changed while under way': async (r) => {
    const cursor = r.find({});
    await cursor.next();
    cursor.limit(1);
  },
  'find that the server refuses': (r) => r.find({ $noSuchOperator: 1 } as Document).toArray(),
  'find without a filter': (r) => r.find(undefined as unknown as Document).toArray(),
  findOne: (r) => r.findOne({ kind: 'b' }, { sort: { n: -1 }, projection: { n: 1 } }),
  'findOne without a match': (r) => r.findOne({ kind: 'c' }),
  aggregate: (r) =>
    r.aggregate([{ $group: { _id: '$kind', n: { $sum: 1 } } }, { $sort: { _id: 1 } }]).toArray(),
  'aggregate in small batches': async (r) => {
    const found: Document[] = [];
    const cursor = r.aggregate([{ $sort: { n: 1 } }], { batchSize: 1, let: { a: 1 } });
    for await (const one of cursor) found.push(one);
    return found;
  },
  countDocuments: (r) => r.countDocuments({ kind: 'a' }),
  'countDocuments with skip and limit': (r) => r.countDocuments({}, { skip: 1, limit: 2 }),
  'countDocuments of nothing': (r) => r.countDocuments({ kind: 'c' }),
  distinct: (r) => r.distinct('kind'),
  'distinct of arrays': (r) => r.distinct('tags'),
  'distinct of nulls': (r) => r.distinct('note', { n: { $lte: 3 } }),
  'distinct deep in arrays': (r) => r.distinct('deep.v'),
  createIndex: (r) => r.createIndex({ n: 1, kind: -1 }, { unique: true, sparse: true }),
  'createIndex with a name, twice': async (r) => [
    await r.createIndex('n', { name: 'by_n' }),
    await r.createIndex('n', { name: 'by_n' }),
  ],
  'createIndex that duplicates break': (r) => r.createIndex('kind', { unique: true }),
  createIndexes: (r) => r.createIndexes([{ key: { n: 1 } }, { key: { kind: 1 }, name: 'k' }]),
  dropIndex: async (r) => {
    await r.createIndex('n');
    await r.dropIndex('n_1');
  },
  'dropIndex of none': (r) => r.dropIndex('n_1'),
  bulkWrite: async (r) =>
    countsOf(
      await r.bulkWrite([
        { insertOne: { document: { _id: 8 } as Document } },
        { insertOne: { document: { _id: 9 } as Document } },
        { updateOne: { filter: { kind: 'a' }, update: { $inc: { n: 1 } } } },
        { updateMany: { filter: {}, update: { $set: { seen: 1 } } } },
        { replaceOne: { filter: { _id: id(7) }, replacement: { n: 7 }, upsert: true } },
        { deleteOne: { filter: { kind: 'b' } } },
        { deleteMany: { filter: { kind: 'b' } } },
      ]),
    ),
  'bulkWrite up to a refusal': (r) =>
    r.bulkWrite([
      { insertOne: { document: { _id: 8 } as Document } },
      { insertOne: { document: { _id: 1 } as Document } },
      { deleteMany: { filter: {} } },
    ]),
  'bulkWrite past refusals': (r) =>
    r.bulkWrite(
      [
        { insertOne: { document: { _id: 1 } as Document } },
        { insertOne: { document: { _id: 8 } as Document } },
        { updateOne: { filter: {}, update: { $noSuch: 1 } as Document } },
        { updateOne: { filter: { _id: 2 as never }, update: { $set: { n: 5 } } } },
        { deleteOne: { filter: { _id: 3 as never } } },
      ],
      { ordered: false },
    ),
  'bulkWrite of nothing': (r) => r.bulkWrite([]),
};

describe('through the library as through the driver', () => {
  test.for(Object.entries(CALLS))('%s', async ([, call]) => {
    await plain.insertMany(SEED);
    await own.insertMany(SEED);
    const expected = await outcomeOf(call(plain));
    expect(await outcomeOf(call(records))).toEqual(expected);
    expect(await contentsOf(own)).toEqual(await contentsOf(plain));
    expect(await indexesOf(records)).toEqual(await indexesOf(plain));
  });
});

test('updateOne with a sort, since MongoDB 8.0', async () => {
  await records.insertMany(SEED.map((one) => ({ ...one })));
  const updating = records.updateOne({}, { $set: { hit: true } }, { sort: { n: -1 } });
  if (version >= 8) {
    await updating;
    expect(await records.findOne({ hit: true })).toMatchObject({ _id: 'four' });
  } else await expect(updating).rejects.toThrow(/sort/);
});

test('inserts more than one command can hold', async () => {
  const large = 'x'.repeat(5 * 1024 * 1024);
  const documents: Document[] = Array.from({ length: 5 }, (_, n) => ({ _id: n, large }));
  const { insertedCount, insertedIds } = await records.insertMany(documents);
  expect(insertedCount).toBe(5);
  expect(insertedIds).toEqual({ 0: 0, 1: 1, 2: 2, 3: 3, 4: 4 });
  const again = records.insertMany(documents.toReversed(), { ordered: false });
  await expect(again).rejects.toMatchObject({ insertedCount: 0 });
  const small = Array.from({ length: 10_001 }, (_, n) => ({ n }) as Document);
  expect(await records.insertMany(small)).toMatchObject({ insertedCount: 10_001 });
  expect(await records.countDocuments({})).toBe(10_006);
});

test('reads and writes values as the client it was given is set', async () => {
  await records.insertOne({ _id: 1, big: Long.fromString('9007199254740993') } as Document);
  expect((await records.findOne())?.big).toBeInstanceOf(Long);
});

test('options that would not be honoured are refused', async () => {
  await using session = service.client.startSession();
  const options = { session } as object;
  const document = { _id: 1 } as Document;
  for (const use of [
    async () => records.find({}, options),
    async () => records.aggregate([], options),
    () => records.insertOne(document, options),
    () => records.insertMany([document], options),
    () => records.updateOne({}, { $set: { n: 1 } }, options),
    () => records.updateMany({}, { $set: { n: 1 } }, options),
    () => records.replaceOne({}, { n: 1 }, options),
    () => records.deleteOne({}, options),
    () => records.deleteMany({}, options),
    () => records.countDocuments({}, options),
    () => records.distinct('n', {}, options),
    () => records.createIndex('n', options),
    () => records.dropIndex('n', options),
    () => records.bulkWrite([{ deleteMany: { filter: {} } }], options),
    () => records.bulkWrite([{ deleteMany: { filter: {}, ...options } }]),
  ])
    await expect(use()).rejects.toMatchObject({ code: 'unsupported_option' });
  expect(await records.countDocuments()).toBe(0);
});

/** What a call gives or throws, without what only names the place. */
async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return { result: await call };
  } catch (error) {
    const { name, code, message, keyPattern, keyValue, index } = error as Document;
    const { insertedCount, insertedIds, writeErrors, result } = error as Document;
    return {
      ...{ name, code, keyPattern, keyValue, index, insertedCount, insertedIds },
      message: message.replace(/collection: \S+/, '').replace(/test_\w+\.\w+|[\da-f-]{36}/g, ''),
      writeErrors: writeErrors?.map((one: Document) => [one.index, one.code]),
      ...(result && { counts: countsOf(result) }),
    };
  }
}

function countsOf(result: Document) {
  const { insertedCount, matchedCount, modifiedCount, deletedCount, upsertedCount } = result;
  const { insertedIds, upsertedIds } = result;
  return {
    ...{ insertedCount, matchedCount, modifiedCount, deletedCount, upsertedCount },
    ...{ insertedIds, upsertedIds, errors: result.getWriteErrorCount() },
  };
}

/** But for ids that were made on the way. */
async function contentsOf(collection: Collection) {
  const documents = await collection.find().sort({ _id: 1 }).toArray();
  return documents.map(({ _id, ...rest }) => [_id instanceof ObjectId ? '' : _id, rest]);
}

async function indexesOf(records: Records) {
  const indexes = await records.indexes();
  return indexes
    .map(({ v: _, ...index }) => index)
    .toSorted((one, other) => (String(one.name) < String(other.name) ? -1 : 1));
}
