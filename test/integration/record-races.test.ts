import { setImmediate } from 'node:timers/promises';
import { MongoNetworkError, ObjectId } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomIds } from '../../src/ids.ts';
import { EXACT_TYPES } from '../../src/records/extended-json.ts';
import { RecordService } from '../../src/records/record-service.ts';
import { collectionReference } from '../../src/registry/organization-document.ts';
import { runFenced } from '../../src/tenants/fence.ts';
import { type CommandRunner, TenantCollection } from '../../src/tenants/tenant-collection.ts';
import type { TenantDirectory } from '../../src/tenants/tenant-directory.ts';
import { apiOf, tally } from '../support/api.ts';
import { type Records, recordsOf } from '../support/records.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let second: TestService;
let acme: SignedUp;
let records: Records;
let elsewhere: Records;
beforeAll(async () => {
  service = await startTestService();
  const { masterDatabase: database } = service.settings;
  second = await startTestService({ database, clock: service.clock });
  acme = await signUpAndIn(service);
  records = recordsOf(service, acme.auth);
  elsewhere = recordsOf(second, acme.auth);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const TWENTY = Array.from({ length: 20 }, (_, n) => n);
const either = (n: number) => (n % 2 === 0 ? records : elsewhere);

describe('at once', () => {
  test('of 20 replacements of one version exactly one takes place', async () => {
    const created = await records.create({ _id: 'put', n: -1 });
    const match = { 'if-match': String(created.headers.etag) };
    const answers = await Promise.all(TWENTY.map((n) => either(n).put('put', { n }, match)));
    expect(tally(answers)).toEqual({ '200': 1, '412 record_changed': 19 });
    const won = answers.find(({ statusCode }) => statusCode === 200);
    expect((await records.get('put')).json()).toEqual(won?.json());
  });

  test('of 20 creations under one id exactly one takes place', async () => {
    const absent = { 'if-none-match': '*' };
    const answers = await Promise.all(TWENTY.map((n) => either(n).put('new', { n }, absent)));
    expect(tally(answers)).toEqual({ '201': 1, '412 record_changed': 19 });
  });

  test('of 20 patches of different fields none is lost', async () => {
    await records.create({ _id: 'patch' });
    const answers = await Promise.all(
      TWENTY.map((n) => either(n).patch('patch', { [`f${n}`]: n, deep: { [n]: n } })),
    );
    expect(tally(answers)).toEqual({ '200': 20 });
    const record = (await records.get('patch')).json();
    expect(record).toMatchObject(Object.fromEntries(TWENTY.map((n) => [`f${n}`, n])));
    expect(Object.keys(record.deep)).toHaveLength(20);
  });

  test('patches with a version count up one by one', async () => {
    await records.create({ _id: 'counter', n: 0 });
    const increment = async (by: Records): Promise<void> => {
      for (;;) {
        const read = await by.get('counter');
        const match = { 'if-match': String(read.headers.etag) };
        const { statusCode } = await by.patch('counter', { n: read.json().n + 1 }, match);
        if (statusCode === 200) return;
        expect(statusCode).toBe(412);
      }
    };
    await Promise.all(TWENTY.slice(0, 10).map((n) => increment(either(n))));
    expect((await records.get('counter')).json().n).toBe(10);
  });

  test('a deletion and patches end in nothing, or with the deletion first', async () => {
    for (const round of TWENTY.slice(0, 5)) {
      const id = `gone ${round}`;
      const created = await records.create({ _id: id });
      const match = { 'if-match': String(created.headers.etag) };
      const [deleted, patched] = await Promise.all([
        elsewhere.remove(id, match),
        records.patch(id, { n: 1 }),
      ]);
      const both = `${deleted.statusCode} ${patched.statusCode}`;
      expect(['204 404', '412 200']).toContain(both);
      expect((await records.get(id)).statusCode).toBe(deleted.statusCode === 204 ? 404 : 200);
    }
  });

  test('upserts of one id make one record', async () => {
    const answers = await Promise.all(
      TWENTY.map((n) =>
        either(n).batch({ operations: [{ op: 'upsert', id: 'up', record: { n } }] }),
      ),
    );
    const statuses = answers.map((one) => expectStatus(one, 200).json().results[0].status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.every((status) => status === 201 || status === 200)).toBe(true);
  });
});

test('a rename while records are written and paged disturbs nobody', async () => {
  const globex = await signUpAndIn(service);
  const [here, there] = [recordsOf(service, globex.auth), recordsOf(second, globex.auth)];
  expectStatus(
    await here.batch({
      operations: Array.from({ length: 200 }, (_, n) => ({ op: 'insert', record: { n } })),
    }),
    200,
  );
  let renaming = true;
  const rename = async () => {
    for (const round of TWENTY.slice(0, 6)) {
      const organization_name = `${globex.organization.organization_name} ${round}`;
      const { auth: headers } = globex;
      expectStatus(await apiOf(service).update({ organization_name }, { headers }), 200);
    }
  };
  let written = 0;
  const write = async (by: Records) => {
    while (renaming) {
      expectStatus(await by.create({ late: true }), 201);
      written += 1;
    }
  };
  const read = async (sort: string) => {
    do {
      const rows = (
        await there.pages({ sort, limit: 50, filter: { n: { $exists: true } } })
      ).flat();
      expect(rows.map(({ n }) => n).sort((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 200 }, (_, n) => n),
      );
    } while (renaming);
  };
  await Promise.all([
    rename().finally(() => {
      renaming = false;
    }),
    write(here),
    write(there),
    read('-n'),
    read('_id'),
  ]);
  expect((await here.count()).json().count).toBe(200 + written);
});

test('a deletion of the organization meanwhile leaves nothing behind', async () => {
  const globex = await signUpAndIn(service);
  const [here, there] = [recordsOf(service, globex.auth), recordsOf(second, globex.auth)];
  expectStatus(await there.create({ _id: 'x' }), 201);
  let goesOn = true;
  const work = async (by: Records) => {
    const seen: number[] = [];
    while (goesOn) {
      const answers = await Promise.all([
        ...[by.create({}), by.put('x', { n: 1 }), by.patch('x', { n: 2 }), by.query({ sort: 'n' })],
        by.batch({
          operations: [
            { op: 'insert', record: {} },
            { op: 'upsert', id: 'y', record: {} },
          ],
        }),
        ...[by.count(), by.get('x'), by.remove('y')],
      ]);
      seen.push(...answers.map(({ statusCode }) => statusCode));
      // Refusals from memory wait for nothing: without this they would keep the deletion from going on.
      await setImmediate();
    }
    return seen;
  };
  const working = [work(here), work(there)];
  const removed = await apiOf(service).remove({ headers: globex.auth });
  goesOn = false;
  expectStatus(removed, 200);
  for (const seen of await Promise.all(working))
    for (const status of seen) expect([200, 201, 204, 401, 404]).toContain(status);
  const left = await service.db.listCollections().toArray();
  expect(left.map(({ name }) => name)).not.toContain(globex.organization.collection_name);
});

describe('when the answer of the database gets lost', () => {
  /** Loses the answer to the first write of each test: as a primary that dies right after it has written. */
  function losing(): { run: CommandRunner; lost: () => boolean } {
    let lost = false;
    const run: CommandRunner = async (...command) => {
      const reply = await runFenced(...command);
      if (lost || command[3].write !== true) return reply;
      lost = true;
      throw new MongoNetworkError('connection 1 to 127.0.0.1:27017 closed');
    };
    return { run, lost: () => lost };
  }

  async function recordsLosing(): Promise<{
    by: RecordService;
    id: ObjectId;
    lost: () => boolean;
  }> {
    const id = new ObjectId(acme.organization.id);
    const reference = collectionReference(await service.services.organizations.findServing(id));
    if (reference === undefined) throw new Error('the organization has no collection');
    const { run, lost } = losing();
    const collection = new TenantCollection(service.client, reference, { run, bson: EXACT_TYPES });
    const directory = { open: async () => collection } as unknown as TenantDirectory;
    const quota = service.services.quotas;
    return { by: new RecordService({ directory, quota, ids: randomIds }), id, lost };
  }

  const etagOf = async (record: Record<string, unknown>) =>
    String((await records.create(record)).headers.etag);

  test('creating stores one record', async () => {
    const { by, id, lost } = await recordsLosing();
    await by.create(id, { _id: 'lost', '7': 1, n: 1 });
    expect(lost()).toBe(true);
    expect((await records.get('lost')).json()).toEqual({ _id: 'lost', '7': 1, n: 1 });
  });

  test('a conditional replacement is known to be done', async () => {
    const { by, id, lost } = await recordsLosing();
    const etag = await etagOf({ _id: 'lost put', n: 1 });
    await by.replace(id, 'lost put', { n: 2 }, { ifMatch: [etag] });
    expect(lost()).toBe(true);
    expect((await records.get('lost put')).json().n).toBe(2);
  });

  test('a patch, with and without a version, is known to be done', async () => {
    for (const conditional of [true, false]) {
      const { by, id, lost } = await recordsLosing();
      const _id = `lost patch ${conditional}`;
      const etag = await etagOf({ _id, n: 1 });
      await by.patch(id, _id, { n: 2 }, conditional ? { ifMatch: [etag] } : {});
      expect(lost()).toBe(true);
      expect((await records.get(_id)).json().n).toBe(2);
    }
  });

  test('a deletion, with and without a version, is known to be done', async () => {
    for (const conditional of [true, false]) {
      const { by, id, lost } = await recordsLosing();
      const _id = `lost delete ${conditional}`;
      const etag = await etagOf({ _id });
      await by.delete(id, _id, conditional ? { ifMatch: [etag] } : {});
      expect(lost()).toBe(true);
      expect((await records.get(_id)).statusCode).toBe(404);
    }
  });

  test('a creation with If-None-Match is known to be done', async () => {
    const { by, id, lost } = await recordsLosing();
    await by.replace(id, 'lost new', { n: 1 }, { ifAbsent: true });
    expect(lost()).toBe(true);
    expect((await records.get('lost new')).json().n).toBe(1);
  });
});
