import { type Document, MongoClient } from 'mongodb';
import { beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { DURABLE } from '../../src/database/mongo-client.ts';
import type { OrganizationRecords } from '../../src/library/organization-records.ts';
import { runFenced } from '../../src/tenants/fence.ts';
import type { CommandRunner } from '../../src/tenants/fenced-commands.ts';
import { Cluster, type Instance } from '../support/cluster.ts';
import { contradictions, tenantCollections } from '../support/database-truth.ts';
import { libraryOf } from '../support/library.ts';
import { expectStatus, type SignedUp, signUpAndIn, someSignUp } from '../support/test-service.ts';

let cluster: Cluster;
let service: Instance;

beforeAll(async () => {
  cluster = await Cluster.create();
  service = await cluster.instance();
  return () => cluster[Symbol.asyncDispose]();
});

beforeEach(() => cluster.empty());

async function rename({ auth: headers }: SignedUp, name = someSignUp().organization_name) {
  const payload = { organization_name: name };
  const answer = await service.app.inject({ method: 'PUT', url: '/org/update', headers, payload });
  return expectStatus(answer, 200).json().collection_name as string;
}

async function remove({ auth: headers }: SignedUp): Promise<void> {
  expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
}

/** The records as a process holds them that looked the organization up once. */
async function heldRecords({ organization }: SignedUp, run?: CommandRunner) {
  const tenantry = libraryOf(service, run === undefined ? {} : { run });
  return (await tenantry.organizationById(organization.id)).records;
}

const documentsOf = (name: string) => cluster.db.collection(name).find().toArray();

/** Everything that can be done with records. */
const USES: Record<string, (records: OrganizationRecords) => Promise<unknown>> = {
  insertOne: (records) => records.insertOne({ n: 1 }),
  insertMany: (records) => records.insertMany([{ n: 1 }, { n: 2 }]),
  'insertMany, unordered': (records) => records.insertMany([{ n: 1 }], { ordered: false }),
  updateOne: (records) => records.updateOne({}, { $inc: { n: 1 } }, { upsert: true }),
  updateMany: (records) => records.updateMany({}, { $inc: { n: 1 } }),
  replaceOne: (records) => records.replaceOne({}, { n: 1 }, { upsert: true }),
  deleteOne: (records) => records.deleteOne({}),
  deleteMany: (records) => records.deleteMany({}),
  bulkWrite: (records) => records.bulkWrite([{ deleteMany: { filter: {} } }]),
  find: (records) => records.find({}).toArray(),
  findOne: (records) => records.findOne({}),
  aggregate: (records) => records.aggregate([{ $match: {} }]).toArray(),
  countDocuments: (records) => records.countDocuments({}),
  distinct: (records) => records.distinct('n'),
  createIndex: (records) => records.createIndex('m'),
  createIndexes: (records) => records.createIndexes([{ key: { m: 1 } }]),
  dropIndex: (records) => records.dropIndex('by_n'),
  indexes: (records) => records.indexes(),
};

describe.for(Object.entries(USES))('%s', ([, use]) => {
  test('follows renames, and finds nothing once the organization is deleted, nor who has its name', async () => {
    const organization = await signUpAndIn(service);
    const records = await heldRecords(organization);
    await records.createIndex('n', { name: 'by_n' });
    await rename(organization);
    const name = await rename(organization);
    await use(records);
    expect(records.collectionName).toBe(name);
    expect(await tenantCollections(cluster.db)).toEqual([name]);

    const later = await heldRecords(organization);
    await remove(organization);
    const successor = await signUpAndIn(service, organization.signUp);
    const theirs = await heldRecords(successor);
    await theirs.insertOne({ of: 'the successor' });
    await theirs.createIndex('n', { name: 'by_n' });
    const held = await signUpAndIn(service, { organization_name: name.slice('org_'.length) });
    for (const one of [records, later])
      await expect(use(one)).rejects.toMatchObject({ code: 'organization_not_found' });
    const { collection_name } = successor.organization;
    expect(await documentsOf(collection_name)).toMatchObject([{ of: 'the successor' }]);
    expect(await documentsOf(held.organization.collection_name)).toEqual([]);
    expect((await theirs.indexes()).map((index) => index.name)).toEqual(['_id_', 'by_n']);
    expect(await contradictions(cluster.db)).toEqual([]);
  });

  test('finds its way when two organizations swap their names', async () => {
    const [one, two] = [await signUpAndIn(service), await signUpAndIn(service)];
    const [ofOne, ofTwo] = [await heldRecords(one), await heldRecords(two)];
    await ofOne.createIndex('n', { name: 'by_n' });
    await ofTwo.insertOne({ of: 'two' });
    await rename(one);
    await rename(two, one.signUp.organization_name);
    await rename(one, two.signUp.organization_name);
    await use(ofOne);
    expect(ofOne.collectionName).toBe(two.organization.collection_name);
    expect(await documentsOf(one.organization.collection_name)).toMatchObject([{ of: 'two' }]);
  });
});

describe('many writes with a rename in the middle', () => {
  /** Splits a write in two, as the server does it when a rename comes in between. */
  function renamingMidway(kind: string, field: string, organization: SignedUp): CommandRunner {
    let renamed = false;
    return async (db, uuid, command, options) => {
      if (renamed || !(kind in command)) return runFenced(db, uuid, command, options);
      renamed = true;
      const before = (command[field] as Document[]).slice(0, 3);
      const { retryable: _, ...once } = options;
      const done = await runFenced(db, uuid, { ...command, [field]: before }, once);
      await rename(organization);
      const rest = { ...command, [field]: (command[field] as Document[]).slice(3) };
      return runFenced(db, uuid, rest, once).catch((error) => {
        throw merged(error, done, before.length);
      });
    };
  }

  test('stores each document once, and says which were refused', async () => {
    const organization = await signUpAndIn(service);
    const run = renamingMidway('insert', 'documents', organization);
    const records = await heldRecords(organization, run);
    await (await heldRecords(organization)).insertMany([{ _id: 1 }, { _id: 4 }] as Document[]);
    const documents = [0, 1, 2, 3, 4, 5].map((n) => ({ _id: n }) as Document);
    await expect(records.insertMany(documents, { ordered: false })).rejects.toMatchObject({
      ...{ name: 'MongoBulkWriteError', code: 11000, insertedCount: 4 },
      insertedIds: { 0: 0, 2: 2, 3: 3, 5: 5 },
    });
    expect(await records.distinct('_id')).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('counts every update once, and none twice', async () => {
    const organization = await signUpAndIn(service);
    const run = renamingMidway('update', 'updates', organization);
    const records = await heldRecords(organization, run);
    await records.insertMany([0, 1, 2, 3, 4].map((n) => ({ _id: n, n: 0 }) as Document));
    const operations = [0, 1, 2, 3, 4, 5].map((n) => ({
      updateOne: { filter: { _id: n as never }, update: { $inc: { n: 1 } }, upsert: true },
    }));
    for (const ordered of [true, false]) {
      const { matchedCount, upsertedIds } = await records.bulkWrite(operations, { ordered });
      expect([matchedCount, upsertedIds]).toEqual(ordered ? [5, { 5: 5 }] : [6, {}]);
    }
    expect((await records.find({}).toArray()).map(({ n }) => n)).toEqual([2, 2, 2, 2, 2, 2]);
  });
});

/** The answer to a write as one whole, of which the first statements were answered before the rename. */
function merged(
  miss: { reply: Document; done: number; actual: string },
  done: Document,
  by: number,
) {
  const at = (one: Document) => ({ ...one, index: one.index + by });
  const { reply } = miss;
  return Object.assign(miss, {
    done: miss.done + by,
    reply: {
      ...{ n: done.n + reply.n, nModified: (done.nModified ?? 0) + (reply.nModified ?? 0) },
      upserted: [...(done.upserted ?? []), ...(reply.upserted ?? []).map(at)],
      writeErrors: [...(done.writeErrors ?? []), ...reply.writeErrors.map(at)],
    },
  });
}

test('an update of many documents that a rename ended says that it is half done', async () => {
  const organization = await signUpAndIn(service);
  const killed: CommandRunner = async (...command) =>
    'update' in command[2]
      ? { n: 0, nModified: 0, writeErrors: [{ index: 0, code: 175, errmsg: 'collection renamed' }] }
      : runFenced(...command);
  const records = await heldRecords(organization, killed);
  const updating = records.updateMany({}, { $inc: { n: 1 } });
  await expect(updating).rejects.toMatchObject({ code: 'update_interrupted' });
});

test('every command carries the UUID of the collection, and what changes something is durable', async () => {
  await using client = new MongoClient(inject('mongoUrl'), { monitorCommands: true, w: 1 });
  const started: Document[] = [];
  client.on('commandStarted', ({ command }) => started.push(command));
  const { organization } = await signUpAndIn(service);
  const { records } = await libraryOf({ ...service, client }).organizationById(organization.id);
  await records.createIndex('n', { name: 'by_n' });
  for (const use of Object.values(USES)) await use(records);
  const own = started.filter((command) => Object.values(command)[0] === records.collectionName);
  expect(own.length).toBeGreaterThan(Object.keys(USES).length);
  for (const command of own) {
    expect(command).toHaveProperty('collectionUUID');
    if (!('find' in command || 'aggregate' in command))
      expect(command.writeConcern).toEqual(DURABLE);
  }
});
