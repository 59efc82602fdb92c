import { MongoServerError, ObjectId } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { EXACT_TYPES } from '../../src/records/extended-json.ts';
import { collectionReference } from '../../src/registry/organization-document.ts';
import { FenceMissError, missedIn, runFenced } from '../../src/tenants/fence.ts';
import type { FencedCommandsOptions } from '../../src/tenants/fenced-commands.ts';
import { type CommandRunner, TenantCollection } from '../../src/tenants/tenant-collection.ts';
import { interceptCalls } from '../support/intercepted-client.ts';
import { connectionClosed, losingAnswer } from '../support/losing-answers.ts';
import { signUpAndIn, startTestService, type TestService } from '../support/test-service.ts';

async function collectionOf(
  service: TestService,
  options: FencedCommandsOptions = {},
): Promise<TenantCollection> {
  const { organization } = await signUpAndIn(service);
  const id = ObjectId.createFromHexString(organization.id);
  const reference = collectionReference(await service.services.organizations.findServing(id));
  if (reference === undefined) throw new Error('the organization has no collection');
  return new TenantCollection(service.client, reference, options);
}

/** As the records interface reads: every number an object of the driver's. */
const EXACT = { bson: EXACT_TYPES };

test('documents are stored once when the answer to their insertion gets lost', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service, { run: losingAnswer('insert') });
  await collection.insertMany([
    { n: 1 },
    { n: 2, _id: 'given' },
    { _id: { a: 1 }, n: 3, $field: 'a.b' },
  ]);
  expect(await collection.count()).toBe(3);
});

test('a repetition does not take a document of somebody else for its own', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service, { run: losingAnswer('insert') });
  const other = await service.db.collection<{ _id: string; n: number }>(collection.name);
  await other.insertOne({ _id: 'given', n: 1 });
  await expect(collection.insertMany([{ _id: 'given', n: 2 }, { n: 3 }])).rejects.toThrow(
    MongoServerError,
  );
  expect(await collection.find({}, { limit: 10 })).toEqual([{ _id: 'given', n: 1 }]);
});

test('a duplicate that no repetition explains is refused, even an equal one', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service);
  await collection.insertMany([{ _id: 'given', n: 1 }]);
  await expect(collection.insertMany([{ _id: 'given', n: 1 }])).rejects.toMatchObject({
    code: 11000,
  });
});

test('an _id that is undefined counts as missing', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service);
  await collection.insertMany([{ _id: undefined, n: 1 }]);
  expect(await collection.find({}, { limit: 1 })).toEqual([{ _id: expect.any(ObjectId), n: 1 }]);
});

test('a query that a rename has ended is made again under the new name', async () => {
  await using service = await startTestService();
  const { organization, auth } = await signUpAndIn(service);
  const id = ObjectId.createFromHexString(organization.id);
  const reference = collectionReference(await service.services.organizations.findServing(id));
  if (reference === undefined) throw new Error('the organization has no collection');
  let renamed = false;
  const renaming: CommandRunner = async (...command) => {
    if (renamed) return runFenced(...command);
    renamed = true;
    const payload = { organization_name: `New ${organization.organization_name}` };
    await service.app.inject({ method: 'PUT', url: '/org/update', headers: auth, payload });
    // As MongoDB 6.0 says it, of a query that has yielded to the rename.
    const message = 'PlanExecutor error during aggregation :: caused by :: collection renamed';
    throw new MongoServerError({ message, code: 175 });
  };
  const collection = new TenantCollection(service.client, reference, { run: renaming });
  expect(await collection.count()).toBe(0);
  expect(collection.name).toMatch(/^org_new_/);
});

test('many queries at once each get all of their batches', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service);
  await collection.insertMany(Array.from({ length: 500 }, (_, n) => ({ n })));
  const counted = await Promise.all(
    Array.from({ length: 20 }, async () => {
      let count = 0;
      for await (const batch of collection.scan({}, { batchSize: 50 })) count += batch.length;
      return count;
    }),
  );
  expect(new Set(counted)).toEqual(new Set([500]));
});

describe('with exact types', () => {
  test('a write follows a rename as any other', async () => {
    await using service = await startTestService();
    const collection = await collectionOf(service, EXACT);
    await service.db.renameCollection(collection.name, 'org_moved');
    await collection.insertMany([{ _id: 1, n: 1 }]);
    expect(collection.name).toBe('org_moved');
    await service.db.renameCollection('org_moved', 'org_again');
    const update = [{ q: { _id: 1 }, u: { $inc: { n: 1 } } }];
    expect(await collection.update(update, { repeatable: false })).toMatchObject({ n: 1 });
    await service.db.renameCollection('org_again', 'org_last');
    expect(await collection.delete([{ q: {}, limit: 0 }])).toMatchObject({ n: 1 });
    expect(await service.db.collection('org_moved').countDocuments()).toBe(0);
  });

  test('refusals and errors have codes that can be compared', async () => {
    await using service = await startTestService();
    const collection = await collectionOf(service, EXACT);
    const failures = await collection.insertEach([{ _id: 1 }, { _id: 1 }]);
    expect(failures).toMatchObject([{ index: 1, code: 11000 }]);
    await expect(collection.find({ $noSuch: 1 })).rejects.toMatchObject({ code: 2 });
  });
});

test.for([
  [true, [0]],
  [false, [0, 1, 2]],
] as const)(
  'the server says of each statement that it missed, ordered: %s',
  async ([ordered, missed]) => {
    await using service = await startTestService();
    const { commands } = await collectionOf(service);
    const { database, uuid } = commands.reference;
    const command = { insert: 'org_elsewhere', documents: [{}, {}, {}], ordered };
    const miss = await runFenced(service.client.db(database), uuid, command, { write: true }).catch(
      (error: unknown) => error,
    );
    if (!(miss instanceof FenceMissError)) throw miss;
    expect([...missedIn(miss.reply ?? {})]).toEqual(missed);
  },
);

test('a query that loses its connection between two batches is asked anew, and a scan goes on', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service);
  await collection.insertMany(Array.from({ length: 250 }, (_, n) => ({ _id: n })));
  const { client } = service;
  let breaks = 0;
  const breaking = interceptCalls(client, async (call) => {
    const reply = await call();
    const { cursor } = (reply ?? {}) as { cursor?: { nextBatch?: unknown } };
    if (cursor?.nextBatch === undefined || breaks >= 2) return reply;
    breaks += 1;
    throw connectionClosed();
  });
  const flaky = new TenantCollection(breaking, collection.commands.reference);
  expect(await flaky.find({})).toHaveLength(250);
  expect(breaks).toBe(2);
  breaks = 0;
  const ids: unknown[] = [];
  for await (const batch of flaky.scan({}, { batchSize: 50 }))
    ids.push(...batch.map((one) => one._id));
  expect(ids).toEqual(Array.from({ length: 250 }, (_, n) => n));
});
