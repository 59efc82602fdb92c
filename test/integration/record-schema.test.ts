import { type Document, ObjectId } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { refusalOf } from '../../src/records/record-errors.ts';
import { apiOf, expectProblem, pathsOf, tally } from '../support/api.ts';
import { aMember } from '../support/members.ts';
import { recordsOf as recordsOverHttp } from '../support/records.ts';
import {
  deleteSchema,
  getIndexes,
  getSchema,
  idOf,
  postIndex,
  putSchema,
  recordsOf,
  validatorOf,
} from '../support/structure.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  someSignUp,
  startTestService,
  type TestService,
} from '../support/test-service.ts';

const SCHEMA = { required: ['email'], properties: { email: { bsonType: 'string' } } };

let first: TestService;
let second: TestService;
let acme: SignedUp;
beforeAll(async () => {
  first = await startTestService();
  second = await startTestService({ database: first.settings.masterDatabase, clock: first.clock });
});
beforeEach(async () => {
  acme = await signUpAndIn(first);
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

const tagOf = (signedUp: SignedUp) =>
  `tenantry/${first.settings.masterDatabase}/${signedUp.organization.id}`;

async function refusals(by: TestService, documents: Document[]): Promise<string[]> {
  const found = await (await recordsOf(by, acme)).insertEach(documents);
  return found.map((one) => refusalOf(one).code);
}

describe('a schema', () => {
  test('is none at first', async () => {
    expect(expectStatus(await getSchema(first, acme), 200).json()).toEqual({ schema: null });
    expectStatus(await deleteSchema(first, acme), 204);
  });

  test('is enforced at once, on every instance, until it is taken away', async () => {
    const declared = expectStatus(await putSchema(first, acme, SCHEMA), 200).json();
    expect(declared).toEqual({
      schema: SCHEMA,
      existing: { violating: 0, exact: true, examples: [] },
    });
    expect((await getSchema(second, acme)).json()).toEqual({ schema: SCHEMA });
    for (const by of [first, second])
      expect(await refusals(by, [{ email: 'a@b' }, { email: 5 }, {}])).toEqual([
        'schema_violation',
        'schema_violation',
      ]);
    expectStatus(await deleteSchema(second, acme), 204);
    expect((await getSchema(first, acme)).json()).toEqual({ schema: null });
    expect(await refusals(first, [{}])).toEqual([]);
  });

  test('is enforced on changes as well, of records from before too', async () => {
    const records = await recordsOf(first, acme);
    await records.insertMany([{ _id: 1 }, { _id: 2 }] as Document[]);
    expectStatus(await putSchema(first, acme, SCHEMA), 200);
    const change = async (_id: number, u: Document) => {
      const { failures } = await records.update([{ q: { _id }, u }], { repeatable: true });
      return failures.map((one) => refusalOf(one).errors);
    };
    expect(await change(1, { $set: { name: 'x' } })).toEqual([
      [{ path: '/email', message: 'is required' }],
    ]);
    expect(await change(1, { $set: { email: 'a@b' } })).toEqual([]);
    expect(await records.count()).toBe(2);
  });

  test('is told to whoever writes over HTTP, with the place of each fault', async () => {
    expectStatus(await putSchema(first, acme, SCHEMA), 200);
    expectStatus(await postIndex(first, acme, { fields: [{ field: 'email' }], unique: true }), 201);
    const { create } = recordsOverHttp(second, acme.auth);
    const broken = expectProblem(await create({ email: 5 }), 422, 'schema_violation');
    expect(broken.errors).toEqual([{ path: '/email', message: 'must be of type string' }]);
    expectStatus(await create({ email: 'a@b' }), 201);
    expectProblem(await create({ email: 'a@b' }), 409, 'duplicate_value');
  });

  test('may hold values that JSON does not know', async () => {
    const schema = {
      properties: {
        of: { enum: [{ $oid: '66f1c0ffee0ddba11ca75a1e' }] },
        n: { maximum: { $numberLong: '9223372036854775807' } },
      },
    };
    expectStatus(await putSchema(first, acme, schema), 200);
    expect((await getSchema(first, acme)).json()).toEqual({ schema });
    const of = new ObjectId('66f1c0ffee0ddba11ca75a1e');
    expect(await refusals(first, [{ of }, { of: 'x' }])).toEqual(['schema_violation']);
  });

  test('leaves the tag that says whose collection it is', async () => {
    const { collection_name } = acme.organization;
    expectStatus(await putSchema(first, acme, SCHEMA), 200);
    const $comment = tagOf(acme);
    expect(await validatorOf(first, collection_name)).toEqual({ $comment, $jsonSchema: SCHEMA });
    expectStatus(await deleteSchema(first, acme), 204);
    expect(await validatorOf(first, collection_name)).toEqual({ $comment });
  });

  test('moves with the organization, and so do its indexes', async () => {
    expectStatus(await putSchema(first, acme, SCHEMA), 200);
    expectStatus(await postIndex(first, acme, { fields: [{ field: 'email' }], unique: true }), 201);
    const { organization_name } = someSignUp();
    const renamed = await apiOf(first).update({ organization_name }, { headers: acme.auth });
    const { collection_name } = expectStatus(renamed, 200).json();
    expect(await validatorOf(first, collection_name)).toMatchObject({ $comment: tagOf(acme) });
    // The second instance knows the old name only.
    expect((await getSchema(second, acme)).json()).toEqual({ schema: SCHEMA });
    const { data } = expectStatus(await getIndexes(second, acme), 200).json();
    expect(data.map(({ name }: { name: string }) => name)).toEqual(['_id_', 'email_1']);
    expect(await refusals(second, [{ email: 'a@b' }, { email: 'a@b' }, {}])).toEqual([
      'duplicate_value',
      'schema_violation',
    ]);
    expect(await first.services.reconciliation.run()).toEqual({
      ...{ dropped: 0, orphaned: 0, realigned: 0, missing: 0, removed: 0 },
    });
  });

  test('lets the collection be known for whose it is when the organization does not exist', async () => {
    expectStatus(await putSchema(first, acme, SCHEMA), 200);
    await first.db.collection('organizations').deleteOne({ _id: idOf(acme) });
    await first.services.reconciliation.run();
    expect(await validatorOf(first, acme.organization.collection_name)).toBeUndefined();
  });
});

describe('existing records', () => {
  test('that break it are told, and only told with dry_run', async () => {
    const records = await recordsOf(first, acme);
    const broken = Array.from({ length: 25 }, (_, n) => ({ _id: `r${n}`, email: n }));
    await records.insertMany([...broken, { _id: 'good', email: 'a@b' }]);
    for (const query of [{ dry_run: 'true' }, {}]) {
      const answer = expectStatus(await putSchema(first, acme, SCHEMA, query), 200).json();
      expect(answer.existing).toMatchObject({ violating: 25, exact: true });
      expect(answer.existing.examples).toHaveLength(10);
      for (const { id, errors } of answer.existing.examples) {
        expect(id).toMatch(/^r\d+$/);
        expect(errors).toEqual([{ path: '/email', message: 'must be of type string' }]);
      }
      const { schema } = (await getSchema(first, acme)).json();
      expect(schema).toEqual('dry_run' in query ? null : SCHEMA);
    }
    expect(await records.count()).toBe(26);
  });

  test('are named so that they can be asked for, whatever their ids are', async () => {
    const records = await recordsOf(first, acme);
    const _id = new ObjectId();
    await records.insertMany([{ _id }, { _id: 5 }, { _id: { a: 1 } }] as Document[]);
    const { existing } = expectStatus(await putSchema(first, acme, SCHEMA), 200).json();
    expect(existing.examples.map(({ id }: { id: string }) => id)).toEqual([
      ...[_id.toHexString(), '{"$numberInt":"5"}', '{"a":{"$numberInt":"1"}}'],
    ]);
  });
});

describe('what is no schema', () => {
  test('is refused with every fault, and changes nothing', async () => {
    expectStatus(await putSchema(first, acme, SCHEMA), 200);
    const schema = { $ref: '#', properties: { a: { type: 'integer' } } };
    const problem = expectProblem(await putSchema(first, acme, schema), 422, 'invalid_schema');
    expect(pathsOf(problem)).toEqual(['/$ref', '/properties/a/type']);
    expect((await getSchema(first, acme)).json()).toEqual({ schema: SCHEMA });
  });

  test.each([
    [{ properties: { a: { pattern: '(' } } }, '/properties/a/pattern'],
    [{ patternProperties: { '[': {} } }, '/patternProperties/['],
    [
      { anyOf: [{ properties: { b: { items: { pattern: '*' } } } }] },
      '/anyOf/0/properties/b/items/pattern',
    ],
    [{ properties: { a: { enum: [1, { $numberDouble: '1' }] } } }, ''],
  ])('%j is refused where only MongoDB can tell', async (schema, path) => {
    for (const query of [{}, { dry_run: 'true' }] as Record<string, string>[]) {
      const answer = await putSchema(first, acme, schema, query);
      const problem = expectProblem(answer, 422, 'invalid_schema');
      expect(pathsOf(problem)).toEqual([path]);
    }
  });

  test('may be no larger than 64 KiB', async () => {
    const title = 'x'.repeat(1_000);
    const properties = Object.fromEntries(
      Array.from({ length: 70 }, (_, n) => [`p${n}`, { title }]),
    );
    expectProblem(await putSchema(first, acme, { properties }), 413, 'body_too_large');
  });

  test.each(['5', '[]', 'null', '"x"', ''])('%j is refused', async (payload) => {
    const headers = { ...acme.auth, 'content-type': 'application/json' };
    const request = { method: 'PUT', url: '/org/schema', headers, payload } as const;
    expect((await first.app.inject(request)).statusCode).toBe(422);
  });
});

test('may be read by whoever reads records, and changed by no editor', async () => {
  const editor = await aMember(first, acme, 'editor');
  expectStatus(await getSchema(first, editor), 200);
  expectProblem(await putSchema(first, editor, SCHEMA), 403, 'permission_denied');
  expectProblem(await deleteSchema(first, editor), 403, 'permission_denied');
});

describe('of changes at the same time', () => {
  test('one comes last, and stands as it is', async () => {
    const schemas = Array.from({ length: 10 }, (_, n) => ({ required: [`a${n}`, `b${n}`] }));
    const by = (n: number) => (n % 2 === 0 ? first : second);
    const answers = await Promise.all(schemas.map((one, n) => putSchema(by(n), acme, one)));
    expect(tally(answers)).toEqual({ '200': 10 });
    const { schema } = (await getSchema(first, acme)).json();
    expect(schemas).toContainEqual(schema);
    expect(await validatorOf(first, acme.organization.collection_name)).toEqual({
      ...{ $comment: tagOf(acme), $jsonSchema: schema },
    });
  });

  test('none reaches the organization that takes the name', async () => {
    for (let round = 0; round < 5; round += 1) {
      const leaving = await signUpAndIn(first);
      const { organization_name } = leaving.organization;
      // Both instances know the collection by its name.
      for (const by of [first, second]) expectStatus(await getSchema(by, leaving), 200);
      const writing = Promise.all(
        Array.from({ length: 6 }, (_, n) =>
          putSchema(n % 2 === 0 ? first : second, leaving, SCHEMA),
        ),
      );
      const headers = leaving.auth;
      const freed =
        round % 2 === 0
          ? await apiOf(first).remove({ headers })
          : await apiOf(first).update(
              { organization_name: someSignUp().organization_name },
              { headers },
            );
      const taking = await signUpAndIn(second, { organization_name });
      const answers = await writing;
      for (const { statusCode } of answers) expect([200, 401, 404]).toContain(statusCode);
      expect(taking.organization.collection_name).toBe(leaving.organization.collection_name);
      expect(await validatorOf(first, taking.organization.collection_name)).toEqual({
        $comment: tagOf(taking),
      });
      expect(freed.statusCode, freed.body).toBeLessThan(500);
    }
  });
});
