import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { expectProblem } from '../support/api.ts';
import { anOperator, ask } from '../support/operators.ts';
import { type Records, recordsOf } from '../support/records.ts';
import { getUsage, idOf } from '../support/structure.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let acme: SignedUp;
let records: Records;
beforeAll(async () => {
  service = await startTestService();
});
beforeEach(async () => {
  acme = await signUpAndIn(service);
  records = recordsOf(service, acme.auth);
});
afterAll(() => service[Symbol.asyncDispose]());

const setQuota = (quota: object) => service.services.quotas.set(idOf(acme), quota);
const count = async () => expectStatus(await getUsage(service, acme), 200).json().records;

function importing(lines: object[], query = '') {
  return service.app.inject({
    ...{ method: 'POST', url: `/org/records/import${query}` },
    headers: { ...acme.auth, 'content-type': 'application/x-ndjson' },
    payload: lines.map((line) => JSON.stringify(line)).join('\n'),
  });
}

test('a record for which there is no room is refused, and the limit is named', async () => {
  await setQuota({ max_records: 1 });
  expectStatus(await records.create({ _id: 'a' }), 201);
  const refused = expectProblem(await records.create({ _id: 'b' }), 403, 'quota_exceeded');
  expect(refused.errors).toEqual([
    { path: '/quota/max_records', message: 'allows 1 records; there are 1, and this would add 1' },
  ]);
  const creating = { 'if-none-match': '*' };
  expectProblem(await records.put('b', {}, creating), 403, 'quota_exceeded');
  // What is there may be changed, and makes room when it is deleted.
  expectStatus(await records.put('a', { n: 1 }), 200);
  expectStatus(await records.patch('a', { m: 1 }), 200);
  expectStatus(await records.remove('a'), 204);
  expectStatus(await records.create({ _id: 'b' }), 201);
});

test('a record may not grow past the limit of bytes, and may shrink', async () => {
  await setQuota({ max_bytes: 1_000 });
  expectStatus(await records.create({ _id: 'a', text: 'x'.repeat(900) }), 201);
  const more = { text: 'x'.repeat(2_000) };
  expectProblem(await records.put('a', more), 403, 'quota_exceeded');
  expectProblem(await records.patch('a', more), 403, 'quota_exceeded');
  expectStatus(await records.put('a', { text: 'x'.repeat(100) }), 200);
  expectStatus(await records.patch('a', { more: 'x'.repeat(700) }), 200);
});

test('of a batch and of an import as much is stored as there is room for', async () => {
  await setQuota({ max_records: 5 });
  const operations = Array.from({ length: 4 }, (_, n) => ({ op: 'insert', record: { _id: n } }));
  const batch = expectStatus(await records.batch({ operations: operations.slice(0, 3) }), 200);
  expect(batch.json()).toMatchObject({ succeeded: 3, failed: 0 });
  const lines = Array.from({ length: 1_500 }, (_, n) => ({ _id: 10 + n }));
  expect(expectStatus(await importing(lines), 200).json()).toMatchObject({
    ...{ lines: 1_500, inserted: 2, failed: 1_498 },
    errors: expect.arrayContaining([expect.objectContaining({ line: 3, code: 'quota_exceeded' })]),
  });
  const rest = expectStatus(await records.batch({ operations: operations.slice(3) }), 200).json();
  expect(rest).toMatchObject({ failed: 1, results: [{ status: 403 }] });
  expect(await count()).toBe(5);
});

test('an import that puts records in the place of others needs no room for more of them', async () => {
  await setQuota({ max_records: 2 });
  expectStatus(await records.create({ _id: 'a' }), 201);
  const lines = [{ _id: 'a', n: 1 }, { _id: 'b' }, { _id: 'c' }];
  expect((await importing(lines, '?mode=upsert')).json()).toMatchObject({
    ...{ replaced: 1, inserted: 1, failed: 1 },
    errors: [{ line: 3, code: 'quota_exceeded' }],
  });
  expect((await importing(lines.slice(0, 2), '?mode=replace')).json()).toMatchObject({
    ...{ replaced: 2, failed: 0 },
  });
});

test('however many come at once, one instance never goes over', async () => {
  await setQuota({ max_records: 7 });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      n % 2 === 0
        ? records.create({ n })
        : records.batch({ operations: [{ op: 'insert', record: { n } }] }),
    ),
  );
  expect(await count()).toBe(7);
  const made = answers.filter(
    (answer) => answer.statusCode === 201 || answer.json().succeeded === 1,
  );
  expect(made).toHaveLength(7);
});

test('a quota that an operator sets counts at once', async () => {
  const operator = await anOperator(service);
  const set = (quota: object) =>
    ask(service, 'PATCH', `/orgs/${acme.organization.id}`, operator.auth, { quota });
  expectStatus(await records.create({}), 201);
  expectStatus(await set({ max_records: 2 }), 200);
  expectStatus(await records.create({}), 201);
  expectProblem(await records.create({}), 403, 'quota_exceeded');
  expectStatus(await set({ max_records: null }), 200);
  expectStatus(await records.create({}), 201);
});

test('a repetition under its key is the first one again when the last room is taken', async () => {
  await setQuota({ max_records: 1 });
  const key = { 'idempotency-key': 'one-record' };
  const first = expectStatus(await records.create({ n: 1 }, key), 201);
  expect((await records.create({ n: 1 }, key)).json()).toEqual(first.json());
});
