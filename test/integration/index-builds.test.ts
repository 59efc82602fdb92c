import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient as Client, type MongoClient } from 'mongodb';
import { MongoMemoryServer } from 'mongodb-memory-server-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiOf, expectProblem } from '../support/api.ts';
import {
  deleteIndex,
  getIndexes,
  getSchema,
  postIndex,
  putSchema,
  recordsOf,
} from '../support/structure.ts';
import { testMongodBinary } from '../support/test-mongod.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let mongod: MongoMemoryServer;
let admin: MongoClient;
let service: TestService;
let acme: SignedUp;
// With a fail point, which is the whole server's, builds take as long as a test likes.
beforeAll(async () => {
  mongod = await MongoMemoryServer.create({
    instance: { storageEngine: 'wiredTiger', args: ['--setParameter', 'enableTestCommands=1'] },
    binary: { systemBinary: await testMongodBinary() },
  });
  admin = new Client(mongod.getUri());
  service = await begin();
  acme = await signUpAndIn(service);
  await (await recordsOf(service, acme)).insertMany([{ a: 1 }, { a: 1 }, { b: 1 }]);
});
afterAll(async () => {
  await hold('off');
  await service[Symbol.asyncDispose]();
  await admin.close();
  await mongod.stop();
});

const begin = () =>
  startTestService({
    ...{ mongoUrl: mongod.getUri(), database: 'builds', settings: { indexBuildWaitMs: 200 } },
  });

const hold = (mode: 'alwaysOn' | 'off') =>
  admin.db('admin').command({ configureFailPoint: 'hangAfterStartingIndexBuild', mode });

const on = (field: string) => ({ fields: [{ field }] });

async function building(name: string): Promise<boolean | undefined> {
  const { data } = expectStatus(await getIndexes(service, acme), 200).json();
  return data.find((one: { name: string }) => one.name === name)?.building;
}

/** Waits until something is so: the server works at its own pace. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(20);
}

test('an index that takes long is built, although its instance has gone', async () => {
  await hold('alwaysOn');
  const answer = expectStatus(await postIndex(service, acme, on('a')), 202).json();
  expect(answer).toMatchObject({ name: 'a_1', building: true });
  expect(await building('a_1')).toBe(true);
  expectStatus(await postIndex(service, acme, on('a')), 202);
  await service[Symbol.asyncDispose]();
  service = await begin();
  expect(await building('a_1')).toBe(true);
  await hold('off');
  await until(async () => (await building('a_1')) === false);
});

test('one that fails in the end is not there any more', async () => {
  await hold('alwaysOn');
  const body = { ...on('a'), name: 'unique_a', unique: true };
  expectStatus(await deleteIndex(service, acme, 'a_1'), 204);
  expectStatus(await postIndex(service, acme, body), 202);
  await hold('off');
  await until(async () => (await building('unique_a')) === undefined);
});

test('while one is being built, the organization is not renamed and its schema not changed, and both are told', async () => {
  await hold('alwaysOn');
  expectStatus(await postIndex(service, acme, on('b')), 202);
  const headers = acme.auth;
  const { organization_name } = someSignUp();
  expectProblem(await putSchema(service, acme, {}), 409, 'index_build_in_progress');
  const renaming = await apiOf(service).update({ organization_name }, { headers });
  expectProblem(renaming, 409, 'index_build_in_progress');
  const found = expectStatus(await apiOf(service).get(undefined, { headers }), 200).json();
  expect(found).toMatchObject({
    status: 'active',
    organization_name: acme.organization.organization_name,
  });
  // Records are written all the while.
  await (await recordsOf(service, acme)).insertMany([{ b: 2 }]);

  const deleting = deleteIndex(service, acme, 'b_1');
  await delay(50);
  await hold('off');
  expectStatus(await deleting, 204);
  expect(await building('b_1')).toBeUndefined();
  expectStatus(await putSchema(service, acme, {}), 200);
  expectStatus(await apiOf(service).update({ organization_name }, { headers }), 200);
  expectStatus(await getSchema(service, acme), 200);
});

test('an organization is deleted although one is being built', async () => {
  await hold('alwaysOn');
  expectStatus(await postIndex(service, acme, on('c')), 202);
  const removing = apiOf(service).remove({ headers: acme.auth });
  await delay(50);
  await hold('off');
  expectStatus(await removing, 200);
});
