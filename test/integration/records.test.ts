import fc from 'fast-check';
import { Binary, BSON, DBRef, Decimal128, Double, Int32, Long, ObjectId, Timestamp } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf, tally } from '../support/api.ts';
import { type Records, recordsOf } from '../support/records.ts';
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
  acme = await signUpAndIn(service);
  records = recordsOf(service, acme.auth);
});
afterAll(() => service[Symbol.asyncDispose]());

/** The collection, as another program sees it. */
const collection = () =>
  service.db.collection<Record<string, unknown>>(acme.organization.collection_name);
const canonical = { extended_json: 'canonical' };

describe('creating a record', () => {
  test('stores it, and says where it is and which version', async () => {
    const body = { name: 'Ada', tags: ['x', { y: null }] };
    const created = expectStatus(await records.create(body), 201);
    const { _id, ...rest } = created.json();
    expect(rest).toEqual(body);
    const id = new ObjectId(_id.$oid);
    expect(created.headers).toMatchObject({
      location: `/org/records/${id}`,
      etag: expect.stringMatching(/^"[\w-]{27}"$/),
    });
    expect(await collection().findOne({ _id: id as never })).toEqual({ _id: id, ...body });
    const read = expectStatus(await records.get(id), 200);
    expect(read.body).toBe(created.body);
    expect(read.headers.etag).toBe(created.headers.etag);
  });

  test.each([
    ...['x', 'count', '66f1c0ffee0ddba11ca75a1e', 'a/b c?', '', 'ü'.repeat(200), new Int32(5)],
    ...[new Double(5.5), Long.fromString('9007199254740993'), true, new Date(0)],
    ...[new BSON.UUID().toBinary(), new ObjectId(), { a: { '7': new Int32(1), b: 'c' } }],
    ...[Decimal128.fromString('1.10'), new Timestamp({ t: 1, i: 2 }), new BSON.MaxKey()],
    new DBRef('people', new ObjectId()),
  ])('takes the _id %o, and its location leads to it', async (_id) => {
    const body = BSON.EJSON.stringify({ _id, n: 1 }, { relaxed: false });
    const created = expectStatus(await records.create(body), 201);
    const { authorization } = acme.auth;
    const url = String(created.headers.location);
    const read = await service.app.inject({ url, headers: { authorization } });
    expect(expectStatus(read, 200).body).toBe(created.body);
    expect(read.headers.etag).toBe(created.headers.etag);
    expectProblem(await records.create(body), 409, 'record_exists');
    expectStatus(await service.app.inject({ method: 'DELETE', url, headers: acme.auth }), 204);
  });

  test.each([
    [{ _id: null }, '/_id'],
    [{ _id: [1] }, '/_id'],
    [{ _id: { $undefined: true } }, '/_id'],
    [{ _id: { $regularExpression: { pattern: 'a', options: '' } } }, '/_id'],
    [{ _id: 'x'.repeat(600) }, '/_id'],
    [{ $set: { a: 1 } }, '/$set'],
    [{ a: { $inc: 1 } }, '/a/$inc'],
    [{ a: { _bsontype: 'ObjectId' } }, '/a/_bsontype'],
    [{ a: { $date: 'today' } }, '/a'],
    [{ $oid: '66f1c0ffee0ddba11ca75a1e' }, ''],
    [{ a: { $timestamp: { t: 0, i: 0 } } }, '/a'],
    [{ a: '\ud800' }, '/a'],
    [[], ''],
    ['"x"', ''],
    ['null', ''],
  ])('refuses %j, and names what is wrong', async (body, path) => {
    const before = await collection().countDocuments();
    expect(pathsOf(expectProblem(await records.create(body), 422, 'validation_failed'))).toEqual([
      path,
    ]);
    expect(await collection().countDocuments()).toBe(before);
  });

  test('refuses what is no JSON, or not UTF-8, or has keys that reach for prototypes', async () => {
    for (const body of ['{', '', '{"__proto__": {"a": 1}}', '{"a": {"__proto__": 1}}'])
      expect([400, 422]).toContain((await records.create(body)).statusCode);
    const latin = Buffer.from([0x7b, 0x22, 0xfc, 0x22, 0x3a, 0x31, 0x7d]);
    const headers = { ...acme.auth, 'content-type': 'application/json' };
    const answer = await service.app.inject({
      ...{ method: 'POST', url: '/org/records', headers, payload: latin },
    });
    expectProblem(answer, 400, 'malformed_json');
  });

  test('takes 1 MiB and no more, as JSON and as BSON', async () => {
    const fits = { s: 'x'.repeat(1_048_576 - 100) };
    const { _id } = expectStatus(await records.create(fits), 201).json();
    expectStatus(await records.get(new ObjectId(_id.$oid)), 200);
    expectProblem(await records.create({ s: 'x'.repeat(1_048_576) }), 413, 'body_too_large');
    // Small as JSON: as BSON each number takes twelve bytes.
    const numbers = { n: Array.from({ length: 200_000 }, () => 1) };
    expectProblem(await records.create(numbers), 413, 'record_too_large');
  });

  test('keeps every type', async () => {
    const document = {
      ...{ _id: 'types', int: new Int32(1), double: new Double(1), long: Long.fromNumber(1) },
      ...{ decimal: Decimal128.fromString('1.10'), nan: new Double(Number.NaN) },
      ...{ minusZero: new Double(-0), big: Long.MAX_VALUE, date: new Date(1), id: new ObjectId() },
      ...{ binary: new Binary(Buffer.from([1, 2]), 5), uuid: new BSON.UUID().toBinary() },
      ...{ regex: new BSON.BSONRegExp('^a', 'i'), time: new Timestamp({ t: 1, i: 2 }) },
      ...{ min: new BSON.MinKey(), max: new BSON.MaxKey(), code: new BSON.Code('1') },
      ...{ symbol: new BSON.BSONSymbol('s'), ref: new DBRef('people', new ObjectId()) },
    };
    const body = BSON.EJSON.stringify(document, { relaxed: false });
    expectStatus(await records.create(body), 201);
    const read = expectStatus(await records.get('types', canonical), 200);
    expect(JSON.parse(read.body)).toEqual(JSON.parse(body));
    // Written back as it was read, it is the same version.
    const same = expectStatus(await records.put('types', read.body), 200);
    expect(same.headers.etag).toBe(read.headers.etag);
  });

  test('gives any JSON document back as it was sent', async () => {
    const key = fc
      .string({ unit: 'grapheme', maxLength: 8 })
      .filter((one) => !/^\$|\0|^_id$|__proto__|_bsontype|constructor/.test(one));
    const value = fc.jsonValue({ maxDepth: 4 }).filter((one) => {
      const text = JSON.stringify(one);
      return !/"\$|\\u0000|__proto__|_bsontype|constructor|\\ud[89a-f]|\d{16}/i.test(text);
    });
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value, { maxKeys: 5 }), async (body) => {
        const sent = JSON.parse(JSON.stringify(body));
        const created = expectStatus(await records.create(sent), 201);
        const { _id, ...rest } = created.json();
        expect(rest).toEqual(sent);
        const id = new ObjectId(_id.$oid);
        const read = expectStatus(await records.get(id), 200);
        expect(read.body).toBe(created.body);
        expect(read.headers.etag).toBe(created.headers.etag);
        // A conditional change finds it unchanged, whatever the names are.
        const patch = await records.patch(
          id,
          { '0': 1 },
          { 'if-match': String(read.headers.etag) },
        );
        expectStatus(patch, 200);
      }),
      { numRuns: 60 },
    );
  });

  test('of an idempotent request happens once, also if an attempt crashed', async () => {
    const headers = { 'idempotency-key': 'once' };
    const body = { once: true };
    const first = expectStatus(await records.create(body, headers), 201);
    const again = expectStatus(await records.create(body, headers), 201);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.body).toBe(first.body);
    // The instance dies between the insertion and the answer.
    await service.db
      .collection('idempotency_keys')
      .updateMany({}, { $set: { answer: null, locked_until: new Date(0) } });
    const third = expectStatus(await records.create(body, headers), 201);
    expect(third.json()).toEqual(first.json());
    expect(third.headers.etag).toBe(first.headers.etag);
    expect(await collection().countDocuments(body)).toBe(1);
  });

  test('with an _id of its own is recognised after a crash, and no other for it', async () => {
    const headers = { 'idempotency-key': 'mine' };
    expectStatus(await records.create({ _id: 'mine', n: 1 }, headers), 201);
    const crash = () =>
      service.db
        .collection('idempotency_keys')
        .updateMany({}, { $set: { answer: null, locked_until: new Date(0) } });
    await crash();
    expectStatus(await records.create({ _id: 'mine', n: 1 }, headers), 201);
    await crash();
    await collection().updateOne({ _id: 'mine' as never }, { $set: { n: 2 } });
    expectProblem(
      await records.create({ _id: 'mine', n: 1 }, headers),
      ...([409, 'record_exists'] as const),
    );
  });

  test('tells of a unique index which value is taken', async () => {
    await collection().createIndex({ 'contact.email': 1 }, { unique: true, sparse: true });
    expectStatus(await records.create({ contact: { email: 'a' } }), 201);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => records.create({ contact: { email: 'b' } })),
    );
    expect(tally(answers)).toEqual({ '201': 1, '409 duplicate_value': 9 });
    const problem = expectProblem(
      await records.create({ contact: { email: 'a' } }),
      ...([409, 'duplicate_value'] as const),
    );
    expect(pathsOf(problem)).toEqual(['/contact/email']);
  });
});

describe('reading a record', () => {
  test('shows what is asked for, with the version of the whole', async () => {
    await records.create({ _id: 'parts', a: { b: 1, c: 2 }, d: [{ e: 1, f: 2 }] });
    const whole = expectStatus(await records.get('parts'), 200);
    const read = async (fields: string) => {
      const answer = expectStatus(await records.get('parts', { fields }), 200);
      expect(answer.headers.etag).toBe(whole.headers.etag);
      return answer.json();
    };
    expect(await read('a.b,d.e')).toEqual({ _id: 'parts', a: { b: 1 }, d: [{ e: 1 }] });
    expect(await read('-a,-_id')).toEqual({ d: [{ e: 1, f: 2 }] });
    expect(await read('none')).toEqual({ _id: 'parts' });
    expect(await read('-_id,-none')).toEqual({ a: { b: 1, c: 2 }, d: [{ e: 1, f: 2 }] });
  });

  test('again is spared when it is unchanged', async () => {
    const created = await records.create({ _id: 'known' });
    const etag = String(created.headers.etag);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await records.get('known', {}, { 'if-none-match': known });
      expect([answer.statusCode, answer.body]).toEqual([304, '']);
      expect(answer.headers.etag).toBe(etag);
    }
    expectStatus(await records.get('known', {}, { 'if-none-match': '"x"' }), 200);
    expectProblem(
      await records.get('known', {}, { 'if-none-match': 'x' }),
      ...([400, 'invalid_headers'] as const),
    );
  });

  test('can be without the body', async () => {
    await records.create({ _id: 'head' });
    const url = '/org/records/head';
    const answer = await service.app.inject({ method: 'HEAD', url, headers: acme.auth });
    expect([answer.statusCode, answer.body]).toEqual([200, '']);
    expect(answer.headers.etag).toBeDefined();
  });

  test('that is not there, or of another organization, is told alike', async () => {
    const globex = recordsOf(service, (await signUpAndIn(service)).auth);
    expectStatus(await records.create({ _id: 'ours' }), 201);
    for (const method of ['get', 'remove'] as const)
      expectProblem(await globex[method]('ours'), 404, 'record_not_found');
    for (const method of ['put', 'patch'] as const)
      expectProblem(await globex[method]('ours', {}), 404, 'record_not_found');
    expectStatus(await records.get('ours'), 200);
  });

  test.each(['{', '{"$oid":"x"}', '"', '{"$where":"1"}', '"\\ud800"'])(
    'by the id %s is refused',
    async (id) => {
      const url = `/org/records/${encodeURIComponent(id)}`;
      const answer = await service.app.inject({ url, headers: acme.auth });
      expectProblem(answer, 400, 'invalid_record_id');
    },
  );
});

describe('replacing a record', () => {
  test('puts the body in its place, whole', async () => {
    await records.create({ _id: 'r', a: 1, b: 2 });
    expect(expectStatus(await records.put('r', { b: 3 }), 200).json()).toEqual({ _id: 'r', b: 3 });
    expectStatus(await records.put('r', { _id: 'r', c: 1 }), 200);
    expect(await collection().findOne({ _id: 'r' as never })).toEqual({ _id: 'r', c: 1 });
    expect(
      pathsOf(expectProblem(await records.put('r', { _id: 's' }), 422, 'validation_failed')),
    ).toEqual(['/_id']);
  });

  test('that is not there makes none, unless If-None-Match says so', async () => {
    expectProblem(await records.put('absent', {}), 404, 'record_not_found');
    for (const tag of ['*', '"x"'])
      expectProblem(await records.put('absent', {}, { 'if-match': tag }), 412, 'record_changed');
    const absent = { 'if-none-match': '*' };
    const created = expectStatus(await records.put('absent', { n: 1 }, absent), 201);
    expect(created.headers.location).toBe('/org/records/absent');
    expectProblem(await records.put('absent', { n: 2 }, absent), 412, 'record_changed');
    expectProblem(
      await records.put('absent', {}, { ...absent, 'if-match': '*' }),
      ...([412, 'record_changed'] as const),
    );
    expectProblem(
      await records.put('absent', {}, { 'if-none-match': '"x"' }),
      ...([400, 'invalid_headers'] as const),
    );
    expect((await records.get('absent')).json()).toEqual({ _id: 'absent', n: 1 });
  });

  test('only of the version that is meant', async () => {
    const first = String((await records.create({ _id: 'v', n: 1 })).headers.etag);
    const second = expectStatus(await records.put('v', { n: 2 }, { 'if-match': first }), 200);
    const etag = String(second.headers.etag);
    for (const stale of [first, `W/${etag}`, '"x"'])
      expectProblem(await records.put('v', {}, { 'if-match': stale }), 412, 'record_changed');
    expectStatus(await records.put('v', { n: 3 }, { 'if-match': `"x", ${etag}` }), 200);
    expectStatus(await records.put('v', { n: 4 }, { 'if-match': '*' }), 200);
    expectProblem(await records.put('v', {}, { 'if-match': 'x' }), 400, 'invalid_headers');
  });

  test('notices what others wrote past the service, types included', async () => {
    const etag = String((await records.create({ _id: 'w', n: 1 })).headers.etag);
    await collection().updateOne({ _id: 'w' as never }, { $set: { n: new Double(1) } });
    expectProblem(await records.put('w', {}, { 'if-match': etag }), 412, 'record_changed');
  });

  test('whose names JavaScript and the driver would rearrange', async () => {
    const stored = new Map<string, unknown>()
      .set('_id', 'odd')
      .set('b', 1)
      .set('7', new Map().set('z', 1).set('3', 2))
      .set('ref', new Map().set('$ref', 'fs.files').set('$id', 4));
    await collection().insertOne(stored as never);
    const etag = String(expectStatus(await records.get('odd'), 200).headers.etag);
    const patched = await records.patch('odd', { n: 1 }, { 'if-match': etag });
    expectStatus(patched, 200);
    const raw = await collection().findOne({ _id: 'odd' as never }, { raw: true });
    stored.set('n', 1);
    expect(raw).toEqual(Buffer.from(BSON.serialize(stored)));
    const { headers } = expectStatus(await records.get('odd'), 200);
    expect(headers.etag).toBe(patched.headers.etag);
    expectStatus(await records.remove('odd', { 'if-match': String(headers.etag) }), 204);
  });

  test('by a number keeps the type that its _id has', async () => {
    await collection().insertOne({ _id: new Double(77) as never, n: 1 });
    const put = expectStatus(await records.put(new Int32(77), { n: 2 }), 200);
    const read = expectStatus(await records.get(new Int32(77), canonical), 200);
    expect(read.json()).toMatchObject({ _id: { $numberDouble: '77.0' }, n: { $numberInt: '2' } });
    expect(put.headers.etag).toBe(read.headers.etag);
  });
});

describe('patching a record', () => {
  test('changes what it names', async () => {
    await records.create({
      _id: 'p',
      a: { b: 1, c: 2 },
      d: [1],
      when: { $date: '2026-11-24T00:00:00Z' },
    });
    const headers = { 'content-type': 'application/merge-patch+json' };
    const patch = { a: { b: null, e: 1 }, d: [2], when: { year: 2026 } };
    const patched = expectStatus(await records.patch('p', patch, headers), 200);
    expect(patched.json()).toEqual({ _id: 'p', a: { c: 2, e: 1 }, d: [2], when: { year: 2026 } });
    const read = await records.get('p');
    expect([read.body, read.headers.etag]).toEqual([patched.body, patched.headers.etag]);
  });

  test('without a change is the same version', async () => {
    const etag = (await records.create({ _id: 'same', n: 1 })).headers.etag;
    expect((await records.patch('same', { n: 1, x: null })).headers.etag).toBe(etag);
  });

  test.each([
    [{ _id: 'other' }, '/_id'],
    [{ _id: null }, '/_id'],
    [{ $set: { n: 2 } }, '/$set'],
    [{ n: { $inc: 1 } }, '/n/$inc'],
    [[], ''],
  ])('with %j is refused, and changes nothing', async (patch, path) => {
    await records.create({ _id: 'fixed', n: 1 });
    const problem = expectProblem(await records.patch('fixed', patch), 422, 'validation_failed');
    expect(pathsOf(problem)).toEqual([path]);
    expect((await records.get('fixed')).json()).toEqual({ _id: 'fixed', n: 1 });
  });

  test('cannot make it too large', async () => {
    const big = { s: 'x'.repeat(700_000) };
    await records.create({ _id: 'big', ...big });
    expectProblem(await records.patch('big', { t: big.s }), 413, 'record_too_large');
    expectProblem(await records.patch('none', { a: 1 }), 404, 'record_not_found');
    expectProblem(
      await records.patch('none', { a: 1 }, { 'if-match': '*' }),
      ...([412, 'record_changed'] as const),
    );
  });
});

test('deleting a record, only of the version that is meant', async () => {
  const etag = String((await records.create({ _id: 'd' })).headers.etag);
  expectProblem(await records.remove('d', { 'if-match': '"x"' }), 412, 'record_changed');
  expectProblem(await records.remove('d', { 'if-none-match': '*' }), 412, 'record_changed');
  expectStatus(await records.remove('d', { 'if-match': etag }), 204);
  expectProblem(await records.remove('d'), 404, 'record_not_found');
  expectProblem(await records.remove('d', { 'if-match': '*' }), 412, 'record_changed');
  await records.create({ _id: 'd' });
  expectStatus(await records.remove('d', { 'if-match': '*' }), 204);
});

test('who may only read cannot write', async () => {
  const key = await service.app.inject({
    ...{ method: 'POST', url: '/org/api-keys', headers: acme.auth },
    payload: { name: 'reader', permissions: ['record:read'] },
  });
  const reader = recordsOf(service, { authorization: `Bearer ${key.json().key}` });
  expectStatus(await reader.query({}), 200);
  expectStatus(await reader.count(), 200);
  expectProblem(await reader.create({}), 403, 'permission_denied');
  expectProblem(await reader.batch({ operations: [] }), 403, 'permission_denied');
});
