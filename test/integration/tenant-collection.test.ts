import { MongoNetworkError, MongoServerError, ObjectId } from 'mongodb';
import { expect, test } from 'vitest';
import { collectionReference } from '../../src/registry/organization-document.ts';
import { runFenced } from '../../src/tenants/fence.ts';
import { type CommandRunner, TenantCollection } from '../../src/tenants/tenant-collection.ts';
import { signUpAndIn, startTestService, type TestService } from '../support/test-service.ts';

/** Runs commands, but loses the answer to the first: as a primary that dies right after it has written. */
function losingFirstAnswer(): CommandRunner {
  let lost = false;
  return async (...command) => {
    const reply = await runFenced(...command);
    if (lost) return reply;
    lost = true;
    throw new MongoNetworkError('connection 1 to 127.0.0.1:27017 closed');
  };
}

async function collectionOf(service: TestService, run?: CommandRunner): Promise<TenantCollection> {
  const { organization } = await signUpAndIn(service);
  const id = ObjectId.createFromHexString(organization.id);
  const reference = collectionReference(await service.services.organizations.findServing(id));
  if (reference === undefined) throw new Error('the organization has no collection');
  return new TenantCollection(service.client, reference, run === undefined ? {} : { run });
}

test('documents are stored once when the answer to their insertion gets lost', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service, losingFirstAnswer());
  await collection.insertMany([
    { n: 1 },
    { n: 2, _id: 'given' },
    { _id: { a: 1 }, n: 3, $field: 'a.b' },
  ]);
  expect(await collection.count()).toBe(3);
});

test('a repetition does not take a document of somebody else for its own', async () => {
  await using service = await startTestService();
  const collection = await collectionOf(service, losingFirstAnswer());
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
