import { type Document, MongoClient } from 'mongodb';
import { beforeAll, expect, inject, test } from 'vitest';
import type { OrganizationRecords } from '../../src/library/organization-records.ts';
import { libraryOf } from '../support/library.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const MANY = 500;
let service: TestService;
let organization: SignedUp;
let records: OrganizationRecords;

beforeAll(async () => {
  service = await startTestService();
  organization = await signUpAndIn(service);
  ({ records } = await libraryOf(service).organizationById(organization.organization.id));
  await records.insertMany(Array.from({ length: MANY }, (_, n) => ({ _id: n, n: -n }) as Document));
  return () => service[Symbol.asyncDispose]();
});

/** Which ends every query that is under way on its collection. */
async function rename(): Promise<void> {
  const payload = { organization_name: someSignUp().organization_name };
  const { auth: headers } = organization;
  const answer = await service.app.inject({ method: 'PUT', url: '/org/update', headers, payload });
  expectStatus(answer, 200);
}

/** The ids that come, with a rename after the first few. */
async function withRename(documents: AsyncIterable<Document>): Promise<unknown[]> {
  const ids: unknown[] = [];
  for await (const { _id } of documents) {
    ids.push(_id);
    if (ids.length === 5) await rename();
  }
  return ids;
}

const upTo = (end: number) => Array.from({ length: end }, (_, n) => n);

test('a query in the order of _id goes on after a rename', async () => {
  const byId = () => records.find({}).sort({ _id: 1 }).batchSize(10);
  expect(await withRename(byId())).toEqual(upTo(MANY));
  expect(await withRename(byId().limit(37))).toEqual(upTo(37));
  expect(await withRename(byId().filter({ _id: { $lt: 50 as never } }))).toEqual(upTo(50));
  expect(await withRename(byId().project({ n: 1 }))).toEqual(upTo(MANY));
});

test('any other query tells that it was lost', async () => {
  const some = () => records.find({}).batchSize(10);
  for (const query of [
    some(),
    some().sort({ n: 1 }),
    some().sort({ _id: -1 }),
    some().sort({ _id: 1 }).skip(1),
    some().sort({ _id: 1 }).collation({ locale: 'en' }),
    some().sort({ _id: 1 }).project({ _id: 0, n: 1 }),
    records.aggregate([{ $match: {} }], { batchSize: 10 }),
  ])
    await expect(withRename(query)).rejects.toMatchObject({ code: 'cursor_lost' });
});

test('what nobody has seen anything of is begun anew', async () => {
  const query = records.find({}).sort({ n: 1 }).batchSize(10);
  expect(await query.hasNext()).toBe(true);
  await rename();
  expect(await query.toArray()).toHaveLength(MANY);
  const [one, two] = [records.find({}).batchSize(2), records.aggregate([], { batchSize: 2 })];
  const [found, aggregated] = await Promise.all([one.toArray(), two.toArray(), rename()]);
  expect([found.length, aggregated.length]).toEqual([MANY, MANY]);
});

test('a query that is left early is ended on the server', async () => {
  await using client = new MongoClient(inject('mongoUrl'), { monitorCommands: true });
  const ended: string[] = [];
  client.on('commandStarted', ({ commandName }) => ended.push(commandName));
  const { organization: own } = organization;
  const watched = await libraryOf({ ...service, client }).organizationById(own.id);
  const [one, two] = [watched.records.find({}).batchSize(2), watched.records.find({})];
  await one.next();
  await one.close();
  for await (const _ of two) break;
  await expect.poll(() => ended).toEqual(['find', 'find', 'killCursors', 'find', 'killCursors']);
});

test('documents have the type they were said to have', async () => {
  const { organization: own } = await signUpAndIn(service);
  const tenantry = libraryOf(service);
  const numbers = (await tenantry.organizationById(own.id)).recordsOf<{ n: number; at?: Date }>();
  await numbers.insertOne({ n: 1 });
  const found: { n: number; at?: Date } | null = await numbers.findOne({ n: { $gte: 1 } });
  expect(found?.n).toBe(1);
  // @ts-expect-error: there is no such field of that type
  await numbers.insertOne({ n: 'one' }, {});
  // @ts-expect-error: not a number
  await numbers.updateOne({}, { $inc: { at: 'x' } }).catch(() => {});
});
