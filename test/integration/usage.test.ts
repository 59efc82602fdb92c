import { BSON, type Document } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { apiOf, expectProblem } from '../support/api.ts';
import { makeKey } from '../support/api-keys.ts';
import { getUsage, idOf, postIndex, recordsOf } from '../support/structure.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  TestClock,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let acme: SignedUp;
beforeAll(async () => {
  service = await startTestService({
    settings: { defaultQuota: { max_records: 100, max_bytes: null, max_members: null } },
  });
});
beforeEach(async () => {
  acme = await signUpAndIn(service);
});
afterAll(() => service[Symbol.asyncDispose]());

const sizeOf = (documents: Document[]) =>
  documents.reduce((sum, one) => sum + BSON.calculateObjectSize(one), 0);

/** Writes as whoever writes records does: with the quota's leave. */
async function store(by: TestService, documents: Document[]): Promise<void> {
  const records = await recordsOf(by, acme);
  const adding = { records: documents.length, bytes: sizeOf(documents) };
  await by.services.quotas.withRoom(idOf(acme), adding, () => records.insertMany(documents));
}

const setQuota = (quota: object) => service.services.quotas.set(idOf(acme), quota);
const usage = async () => expectStatus(await getUsage(service, acme), 200).json();

describe('usage', () => {
  test('is what there is', async () => {
    expect(await usage()).toEqual({
      ...{ records: 0, bytes: 0, storage_bytes: expect.any(Number) },
      ...{ indexes: 1, index_bytes: expect.any(Number), members: 1 },
      quota: { max_records: 100, max_bytes: null, max_members: null },
      measured_at: service.clock.now().toISOString(),
    });
    const documents = [{ _id: 'a', text: 'x'.repeat(1_000) }, { _id: 'b' }];
    await store(service, documents as Document[]);
    expectStatus(await postIndex(service, acme, { fields: [{ field: 'text' }] }), 201);
    const bytes = sizeOf(documents);
    expect(await usage()).toMatchObject({ records: 2, bytes, indexes: 2, members: 1 });
    await (await recordsOf(service, acme)).delete([{ q: { _id: 'a' }, limit: 1 }]);
    expect(await usage()).toMatchObject({ records: 1, bytes: sizeOf([{ _id: 'b' }]) });
  });

  test('is for whoever may read it', async () => {
    const key = await makeKey(service, acme.auth, ['usage:read']);
    expectStatus(await getUsage(service, { auth: { authorization: `Bearer ${key.key}` } }), 200);
  });

  test("keeps with the organization when it is renamed, and is not the next one's", async () => {
    await store(service, [{}, {}]);
    await setQuota({ max_records: 7 });
    const { organization_name } = someSignUp();
    const headers = acme.auth;
    expectStatus(await apiOf(service).update({ organization_name }, { headers }), 200);
    expect(await usage()).toMatchObject({ records: 2, quota: { max_records: 7 } });
    const next = await signUpAndIn(service, {
      organization_name: acme.organization.organization_name,
    });
    expect(expectStatus(await getUsage(service, next), 200).json()).toMatchObject({
      ...{ records: 0, quota: { max_records: 100 } },
    });
  });
});

describe('a quota', () => {
  const tooMany = (path: string) =>
    expect.objectContaining({
      code: 'quota_exceeded',
      errors: [expect.objectContaining({ path })],
    });

  test('of records is held exactly', async () => {
    await setQuota({ max_records: 3 });
    await store(service, [{}, {}]);
    await expect(store(service, [{}, {}])).rejects.toEqual(tooMany('/quota/max_records'));
    await store(service, [{}]);
    await expect(store(service, [{}])).rejects.toEqual(tooMany('/quota/max_records'));
    expect((await usage()).records).toBe(3);
  });

  test('of records is held exactly by many at once', async () => {
    await setQuota({ max_records: 5 });
    const done = await Promise.allSettled(Array.from({ length: 20 }, () => store(service, [{}])));
    expect(done.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    expect((await usage()).records).toBe(5);
  });

  test('of bytes is held, and lets replace what does not grow', async () => {
    const document = { _id: 'x', text: 'x'.repeat(100) };
    await setQuota({ max_bytes: sizeOf([document]) });
    await expect(store(service, [document, {}])).rejects.toEqual(tooMany('/quota/max_bytes'));
    await store(service, [document] as Document[]);
    const { quotas } = service.services;
    const replace = (bytes: number) =>
      quotas.withRoom(idOf(acme), { records: 0, bytes }, async () => 'replaced');
    expect(await replace(0)).toBe('replaced');
    expect(await replace(-5)).toBe('replaced');
    await expect(replace(1)).rejects.toEqual(tooMany('/quota/max_bytes'));
    await expect(quotas.assertRoom(idOf(acme), { records: 1, bytes: 1 })).rejects.toEqual(
      tooMany('/quota/max_bytes'),
    );
  });

  test('has room again at once after something was deleted', async () => {
    await setQuota({ max_records: 1 });
    await store(service, [{}]);
    await (await recordsOf(service, acme)).delete([{ q: {}, limit: 0 }]);
    await store(service, [{}]);
  });

  test('gives back the room of a write that failed', async () => {
    await setQuota({ max_records: 1 });
    const failing = () => Promise.reject(new Error('refused'));
    const adding = { records: 1, bytes: 1 };
    const attempt = service.services.quotas.withRoom(idOf(acme), adding, failing);
    await expect(attempt).rejects.toThrow('refused');
    await store(service, [{}]);
  });

  test('counts from its setting on, for more as for less, and takes nothing away', async () => {
    await store(service, [{}, {}]);
    await setQuota({ max_records: 1 });
    await expect(store(service, [{}])).rejects.toEqual(tooMany('/quota/max_records'));
    expect((await usage()).records).toBe(2);
    await setQuota({ max_records: null });
    await store(service, [{}]);
    await setQuota({});
    expect((await usage()).quota.max_records).toBe(100);
  });

  test('of an organization that does not exist is not found', async () => {
    expectStatus(await apiOf(service).remove({ headers: acme.auth }), 200);
    await expect(setQuota({ max_records: 1 })).rejects.toMatchObject({
      code: 'organization_not_found',
    });
    expectProblem(await getUsage(service, acme), 401, 'invalid_token');
  });
});

describe('of two instances', () => {
  test('each goes over by what the other adds within a second, and not by more', async () => {
    const clock = new TestClock();
    const { masterDatabase: database } = service.settings;
    await using other = await startTestService({ database, clock, start: false });
    await setQuota({ max_records: 3 });
    await store(other, [{}]);
    await store(service, [{}]);
    // Measured by the other before: it sees one record.
    await store(other, [{}, {}]);
    expect((await usage()).records).toBe(4);
    clock.advance(1_000);
    service.clock.advance(1_000);
    await expect(store(service, [{}])).rejects.toMatchObject({ code: 'quota_exceeded' });
    await expect(store(other, [{}])).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect((await usage()).records).toBe(4);
  });

  test('what one sets the other learns of within a second', async () => {
    const clock = new TestClock();
    const { masterDatabase: database } = service.settings;
    await using other = await startTestService({ database, clock, start: false });
    await store(other, [{}]);
    await setQuota({ max_records: 1 });
    await store(other, [{}]);
    clock.advance(1_000);
    await expect(store(other, [{}])).rejects.toMatchObject({ code: 'quota_exceeded' });
  });
});
