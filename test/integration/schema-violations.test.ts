import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusalOf } from '../../src/records/record-errors.ts';
import type { TenantCollection } from '../../src/tenants/tenant-collection.ts';
import { SCHEMA_CASES } from '../support/schema-cases.ts';
import { deleteSchema, putSchema, recordsOf } from '../support/structure.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

let service: TestService;
let acme: SignedUp;
let records: TenantCollection;
beforeAll(async () => {
  service = await startTestService();
  acme = await signUpAndIn(service);
  records = await recordsOf(service, acme);
});
afterAll(() => service[Symbol.asyncDispose]());

const byPath = (one: { path: string; message: string }, other: typeof one) =>
  `${one.path} ${one.message}` < `${other.path} ${other.message}` ? -1 : 1;

describe.each(SCHEMA_CASES.map((one) => [one.keyword, one] as const))(
  '%s',
  (_keyword, { schema, record, errors, existing = errors }) => {
    test('is told, of a record that breaks it', async () => {
      expectStatus(await putSchema(service, acme, schema), 200);
      const [failure] = await records.insertEach([record]);
      if (failure === undefined) throw new Error('the record was stored');
      const refusal = refusalOf(failure);
      expect(refusal).toMatchObject({ kind: 'invalid', code: 'schema_violation' });
      expect([...(refusal.errors ?? [])].sort(byPath)).toEqual([...errors].sort(byPath));
    });

    test('is told, of a record that was there before', async () => {
      expectStatus(await deleteSchema(service, acme), 204);
      await records.insertMany([{ ...record, _id: 'there before' }]);
      const answer = expectStatus(await putSchema(service, acme, schema), 200).json();
      await records.delete([{ q: {}, limit: 0 }]);
      expect(answer.existing).toMatchObject({ violating: 1, exact: true });
      const [example] = answer.existing.examples;
      expect(example.id).toBe('there before');
      expect(example.errors.sort(byPath)).toEqual([...existing].sort(byPath));
    });
  },
);

test('of a schema as deep as one may be, all of it is told', async () => {
  const deep = (depth: number): object =>
    depth === 1 ? { bsonType: 'int' } : { properties: { a: deep(depth - 1) } };
  const value = (depth: number): unknown => (depth === 1 ? 'x' : { a: value(depth - 1) });
  expectStatus(await putSchema(service, acme, deep(20)), 200);
  const [failure] = await records.insertEach([value(20) as object]);
  if (failure === undefined) throw new Error('the record was stored');
  const path = '/a'.repeat(19);
  expect(refusalOf(failure).errors).toEqual([{ path, message: 'must be of type int' }]);
});
