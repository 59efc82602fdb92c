import {
  Binary,
  BSON,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from 'mongodb';
import { extract } from 'tar-stream';
import { afterAll, describe, expect, test } from 'vitest';
import { expectProblem, pathsOf } from '../support/api.ts';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
} from '../support/test-service.ts';
import { exporting, importing, linesOf } from '../support/transfers.ts';

const service = await startTestService();
afterAll(() => service[Symbol.asyncDispose]());

/** One value of each type of BSON that can be stored. */
const EVERY_TYPE: Document = {
  _id: 1,
  double: new Double(1),
  string: 'a "text"\n, with \u0000 and 株式会社',
  object: { empty: {} },
  array: [1, [], { a: 1 }],
  binary: new Binary(Buffer.from([0, 255]), 0x80),
  uuid: new BSON.UUID('0b3a2b1e-4c5d-4e6f-8a9b-0c1d2e3f4a5b'),
  objectId: new ObjectId('65a1b2c3d4e5f60718293a4b'),
  boolean: true,
  date: new Date(-1),
  null: null,
  regex: new BSON.BSONRegExp('^a', 'i'),
  reference: { $ref: 'people', $id: new ObjectId('65a1b2c3d4e5f60718293a4b') },
  code: new BSON.Code('() => 1'),
  symbol: new BSON.BSONSymbol('s'),
  int: new Int32(7),
  timestamp: new Timestamp({ t: 1, i: 2 }),
  long: Long.fromString('9007199254740993'),
  decimal: Decimal128.fromString('1.50'),
  minKey: new MinKey(),
  maxKey: new MaxKey(),
};

/** The documents of an organization as the database has them, byte by byte. */
async function bytesOf({ organization }: SignedUp): Promise<Buffer[]> {
  const found = await service.db
    .collection(organization.collection_name, { raw: true })
    .find({}, { sort: { _id: 1 } })
    .toArray();
  return found as unknown as Buffer[];
}

function collectionOf({ organization }: SignedUp) {
  return service.db.collection<Document>(organization.collection_name);
}

describe('NDJSON', () => {
  test('goes out and in again, canonical, with every type as it was', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    await collectionOf(acme).insertMany([EVERY_TYPE, { _id: 2 as never }]);
    const out = expectStatus(await exporting(service, acme, { extended_json: 'canonical' }), 200);
    expect(out.headers['content-type']).toBe('application/x-ndjson');
    const report = expectStatus(await importing(service, globex, out.body), 200).json();
    expect(report).toEqual({
      ...{ lines: 2, bytes: Buffer.byteLength(out.body), inserted: 2, replaced: 0, failed: 0 },
      ...{ errors: [], errors_truncated: false },
    });
    expect(await bytesOf(globex)).toEqual(await bytesOf(acme));
  });

  test('tells of each line that cannot be stored, and stores the others', async () => {
    const acme = await signUpAndIn(service);
    const lines = [
      '\ufeff{"_id":"a","n":1}',
      '',
      '{"_id":"a","n":2}',
      '{"n":',
      '  \r',
      '[1]',
      '{"$oid":"65a1b2c3d4e5f60718293a4b"}',
      '{"_id":"b","at":{"$date":"yesterday"}}',
      `{"_id":"c","text":"${'x'.repeat(1024 * 1024)}"}`,
      '{"_id":"d","__proto__":{"a":1}}',
      '{"_id":["no"]}',
      '{"_id":"e"}\r',
      '{"_id":"f"}',
    ];
    const body = Buffer.concat([
      Buffer.from(lines.join('\n')),
      Buffer.from('\n{"_id":"g","text":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    const report = expectStatus(await importing(service, acme, body), 200).json();
    expect(report).toMatchObject({ lines: 14, inserted: 3, failed: 9, bytes: body.length });
    expect(report.errors.map(({ line, code }: Document) => [line, code])).toEqual([
      [3, 'record_exists'],
      [4, 'malformed_line'],
      [6, 'validation_failed'],
      [7, 'validation_failed'],
      [8, 'validation_failed'],
      [9, 'record_too_large'],
      [10, 'validation_failed'],
      [11, 'validation_failed'],
      [14, 'malformed_line'],
    ]);
    expect(report.errors[4].errors[0].path).toBe('/at');
    const stored = await collectionOf(acme).find({}).sort({ _id: 1 }).toArray();
    expect(stored).toEqual([{ _id: 'a', n: 1 }, { _id: 'e' }, { _id: 'f' }]);
  });

  test('one endless line takes no memory, and is one error', async () => {
    const acme = await signUpAndIn(service);
    const body = Buffer.alloc(20 * 1024 * 1024, 'x');
    const report = expectStatus(await importing(service, acme, body), 200).json();
    expect(report).toMatchObject({ lines: 1, failed: 1, errors: [{ code: 'record_too_large' }] });
  });

  test('tells of a thousand errors, and counts the others', async () => {
    const acme = await signUpAndIn(service);
    const report = expectStatus(await importing(service, acme, 'no\n'.repeat(1_200)), 200).json();
    expect(report).toMatchObject({ failed: 1_200, errors_truncated: true });
    expect(report.errors).toHaveLength(1_000);
  });

  test.each([
    ['upsert', { inserted: 2, replaced: 2, failed: 0 }],
    ['replace', { inserted: 0, replaced: 2, failed: 2 }],
    ['insert', { inserted: 2, replaced: 0, failed: 2 }],
  ] as const)('mode %s', async (mode, counts) => {
    const acme = await signUpAndIn(service);
    await importing(
      service,
      acme,
      '{"_id":1,"old":true}\n{"_id":"b","old":true}\n{"_id":"c","old":true}',
    );
    const body = '{"_id":1.0,"n":1}\n{"_id":"b","n":2}\n{"_id":"new","n":3}\n{"n":4}';
    const report = expectStatus(await importing(service, acme, body, { mode }), 200).json();
    expect(report).toMatchObject(counts);
    const stored = await collectionOf(acme)
      .find({ n: { $exists: true } })
      .sort({ n: 1 })
      .toArray();
    expect(stored.map(({ n }) => n)).toEqual(
      { upsert: [1, 2, 3, 4], replace: [1, 2], insert: [3, 4] }[mode],
    );
    expect(report.errors.map(({ line, code }: Document) => `${line} ${code}`)).toEqual(
      {
        upsert: [],
        replace: ['3 record_not_found', '4 validation_failed'],
        insert: ['1 record_exists', '2 record_exists'],
      }[mode],
    );
  });

  test('a repeated upsert changes nothing; of two lines with one _id the last one stays', async () => {
    const acme = await signUpAndIn(service);
    const body = Array.from({ length: 2_500 }, (_, n) => `{"_id":${n % 2_000},"n":${n}}`).join(
      '\n',
    );
    for (const counts of [
      { inserted: 2_000, replaced: 500 },
      { inserted: 0, replaced: 2_500 },
    ])
      expect((await importing(service, acme, body, { mode: 'upsert' })).json()).toMatchObject(
        counts,
      );
    expect(await collectionOf(acme).countDocuments()).toBe(2_000);
    expect(await collectionOf(acme).findOne({ _id: 7 as never })).toEqual({ _id: 7, n: 2_007 });
  });

  test('a filter, fields, and the organization in the name of the file', async () => {
    const acme = await signUpAndIn(service, { organization_name: `Müller ${Date.now()}` });
    await importing(service, acme, '{"_id":1,"a":{"b":1,"c":2}}\n{"_id":2,"a":{"b":2}}\n{"_id":3}');
    const query = { filter: '{"a.b":{"$gte":1}}', fields: 'a.b' };
    const out = expectStatus(await exporting(service, acme, query), 200);
    expect(linesOf(out.body)).toEqual([
      { _id: 1, a: { b: 1 } },
      { _id: 2, a: { b: 2 } },
    ]);
    const slug = acme.organization.collection_name.slice('org_'.length);
    const name = `${slug}-${service.clock.now().toISOString().slice(0, 10)}.ndjson`;
    expect(out.headers['content-disposition']).toBe(
      `attachment; filename="${name.replace('ü', '_')}"; filename*=UTF-8''${encodeURIComponent(name)}`,
    );
    const head = await service.app.inject({
      ...{ method: 'HEAD', url: '/org/records/export', headers: acme.auth },
    });
    expect([head.statusCode, head.body]).toEqual([200, '']);
    expect(head.headers['content-disposition']).toBe(out.headers['content-disposition']);
  });

  test('an organization without records', async () => {
    const acme = await signUpAndIn(service);
    expect(expectStatus(await exporting(service, acme), 200).body).toBe('');
    expect(expectStatus(await exporting(service, acme, { format: 'csv' }), 200).body).toBe(
      '_id\r\n',
    );
    expect((await importing(service, acme, '')).json()).toMatchObject({ lines: 0, failed: 0 });
  });

  test('progress, and the report at the end', async () => {
    const acme = await signUpAndIn(service);
    const headers = { accept: 'application/x-ndjson' };
    const out = expectStatus(await importing(service, acme, '{"n":1}\nno\n', { headers }), 200);
    expect(out.headers['content-type']).toBe('application/x-ndjson');
    expect(linesOf(out.body)).toEqual([
      { report: expect.objectContaining({ inserted: 1, failed: 1 }) },
    ]);
  });
});

describe('CSV', () => {
  const csv = (acme: SignedUp, body: string, query: Record<string, string> = {}) =>
    importing(service, acme, body, { type: 'text/csv; charset=UTF-8', ...query });

  test('is taken with quotes, line breaks, a byte order mark and every script', async () => {
    const acme = await signUpAndIn(service);
    const body =
      '\ufeff_id,name,address.city,address.zip,age,active,since,tags\r\n' +
      'a,"Müller, ""Ada""\r\nGmbH",株式会社,01234,42,true,2024-05-06T07:08:09Z,"[1,""x""]"\r\n' +
      '\r\n' +
      '65a1b2c3d4e5f60718293a4b,5" pipe,,,-1.50,TRUE,1e5,\r\n';
    const report = expectStatus(await csv(acme, body), 200).json();
    expect(report).toMatchObject({ lines: 5, inserted: 2, failed: 0 });
    const stored = await collectionOf(acme).find({}).toArray();
    expect(stored).toEqual([
      {
        ...{ _id: 'a', name: 'Müller, "Ada"\r\nGmbH', address: { city: '株式会社', zip: '01234' } },
        ...{ age: 42, active: true, since: new Date('2024-05-06T07:08:09Z'), tags: [1, 'x'] },
      },
      {
        ...{ _id: new ObjectId('65a1b2c3d4e5f60718293a4b'), name: '5" pipe' },
        ...{ age: -1.5, active: 'TRUE', since: '1e5' },
      },
    ]);
  });

  test('each line that is wrong is told, and costs no other', async () => {
    const acme = await signUpAndIn(service);
    const body = '_id,n,n.m\na,1,\nb,"x"y,\nc,2\nd,1,1\ne,"open,\nf,3,\n';
    const report = expectStatus(await csv(acme, body), 200).json();
    expect(report).toMatchObject({ lines: 7, inserted: 2, failed: 4 });
    expect(report.errors.map(({ line, code }: Document) => [line, code])).toEqual([
      [3, 'malformed_line'],
      [4, 'malformed_line'],
      [5, 'validation_failed'],
      [6, 'malformed_line'],
    ]);
  });

  test('lets others have their turn between thousands of lines that are wrong', async () => {
    const acme = await signUpAndIn(service);
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 0);
    const answer = await csv(acme, `a\n${'1,2\n'.repeat(20_000)}`);
    clearInterval(counting);
    expect(expectStatus(answer, 200).json()).toMatchObject({ failed: 20_000 });
    expect(turns).toBeGreaterThan(20);
  });

  test('types: all texts, or as the header says', async () => {
    const acme = await signUpAndIn(service);
    await csv(acme, '_id,n\na,1\n', { types: 'text' });
    const typed =
      '_id.string(),n.int64(),d.decimal(),b.boolean(),at.date()\nb,7,1.50,True,2024-01-02\n';
    expectStatus(await csv(acme, typed, { types: 'header' }), 200);
    const wrong = await csv(acme, 'n.int32()\nx\n', { types: 'header' });
    expect(wrong.json().errors).toMatchObject([{ line: 2, errors: [{ path: '/n' }] }]);
    const [a, b] = await collectionOf(acme).find({}, { promoteValues: false }).toArray();
    expect(a).toEqual({ _id: 'a', n: '1' });
    expect(b).toEqual({
      ...{ _id: 'b', n: Long.fromNumber(7), d: Decimal128.fromString('1.50'), b: true },
      at: new Date('2024-01-02T00:00:00Z'),
    });
  });

  test.each([
    ['', 'n'],
    ['a,a\n', 'two columns'],
    ['a,\n', 'no name'],
    ['$a\n', 'no name'],
    ['a..b\n', 'no name'],
    ['__proto__.x\n', 'no name'],
    [`${'a,'.repeat(1_001)}b\n`, 'too many'],
    ['"a\n1\n', 'not closed'],
    ['_id;name\na;b\n', 'separated by semicolons'],
  ])('a header that names no fields: %j (%s)', async (body) => {
    const acme = await signUpAndIn(service);
    const answer = await csv(acme, body);
    if (body === '') expectStatus(answer, 200);
    else expectProblem(answer, 422, 'invalid_csv_header');
  });

  test('goes out with formulas made harmless, and in again as it was', async () => {
    const acme = await signUpAndIn(service);
    const globex = await signUpAndIn(service);
    const records = [
      {
        _id: '=1+1',
        text: '=HYPERLINK("http://evil")',
        n: -5,
        nested: { '@x': '+49 30', y: null },
      },
      { _id: 'b', text: "'=quoted", n: 1.5, list: [1, 'a'], nested: {} },
      {
        _id: 'c',
        text: '\'tis\n"quoted", really',
        when: new Date(0),
        big: Long.fromString('9007199254740993'),
      },
    ];
    await collectionOf(acme).insertMany(records as never);
    const out = expectStatus(await exporting(service, acme, { format: 'csv' }), 200);
    expect(out.headers['content-type']).toMatch(/^text\/csv/);
    expect(out.body).toBe(
      [
        '_id,text,n,nested.@x,nested.y,list,nested,when,big'.replace('nested.@x,nested.y,', ''),
        `'=1+1,"'=HYPERLINK(""http://evil"")",-5,,"{""@x"":""+49 30"",""y"":null}",,`,
        `b,''=quoted,1.5,"[1,""a""]",{},,`,
        `c,"'tis\n""quoted"", really",,,,1970-01-01T00:00:00.000Z,9007199254740993`,
        '',
      ].join('\r\n'),
    );
    expect((await csv(globex, out.body)).json()).toMatchObject({ inserted: 3, failed: 0 });
    expect(await bytesOf(globex)).toHaveLength(3);
    expect(await collectionOf(globex).find({}, { promoteLongs: false }).toArray()).toEqual(
      await collectionOf(acme).find({}, { promoteLongs: false }).toArray(),
    );
    const plain = await exporting(service, acme, {
      format: 'csv',
      fields: 'text,_id',
      formulas: 'plain',
    });
    expect(plain.body).toMatch(/^text,_id\r\n"=HYPERLINK/);
  });

  test('needs to be told the columns when there are too many', async () => {
    const acme = await signUpAndIn(service);
    const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`f${n}`, n]));
    await collectionOf(acme).insertOne(wide);
    expectProblem(await exporting(service, acme, { format: 'csv' }), 422, 'too_many_columns');
    const some = await exporting(service, acme, { format: 'csv', fields: 'f1,f999' });
    expect(some.body).toBe('f1,f999\r\n1,999\r\n');
  });
});

describe('mongodump', () => {
  test('a tar with the collection as mongodump would have written it', async () => {
    const acme = await signUpAndIn(service, { organization_name: `Müller ${Date.now()}` });
    await collectionOf(acme).insertMany([
      EVERY_TYPE,
      { _id: 2 as never, email: 'ada@acme.example' },
    ]);
    const partialFilterExpression = { email: { $exists: true } };
    await collectionOf(acme).createIndex({ email: 1 }, { unique: true, partialFilterExpression });
    const rules = { n: { $not: { $type: 'string' } } };
    const { validator } = (await optionsOf(acme)) as { validator: Document };
    const collMod = acme.organization.collection_name;
    await service.db.command({ collMod, validator: { ...validator, ...rules } });
    const out = expectStatus(await exporting(service, acme, { format: 'mongodump' }), 200);
    expect(out.headers['content-disposition']).toMatch(
      /^attachment; filename="m_ller_\d+-[\d-]+\.tar"/,
    );
    const files = await filesOf(out.rawPayload);
    const path = `dump/${service.db.databaseName}/${encodeURIComponent(collMod)}`;
    expect([...files.keys()]).toEqual([`${path}.metadata.json`, `${path}.bson`]);
    expect(files.get(`${path}.bson`)).toEqual(Buffer.concat(await bytesOf(acme)));
    const metadata = JSON.parse(String(files.get(`${path}.metadata.json`)));
    expect(metadata).toEqual({
      options: { validator: rules, validationLevel: 'strict', validationAction: 'error' },
      indexes: [
        { v: { $numberInt: '2' }, key: { _id: { $numberInt: '1' } }, name: '_id_' },
        {
          ...{ v: { $numberInt: '2' }, key: { email: { $numberInt: '1' } }, name: 'email_1' },
          ...{ unique: true, partialFilterExpression },
        },
      ],
      uuid: expect.stringMatching(/^[0-9a-f]{32}$/),
      ...{ collectionName: collMod, type: 'collection' },
    });
  });

  async function optionsOf({ organization }: SignedUp): Promise<Document> {
    const name = organization.collection_name;
    const [found] = await service.db.listCollections({ name }, { nameOnly: false }).toArray();
    return found?.options ?? {};
  }

  async function filesOf(archive: Buffer): Promise<Map<string, Buffer>> {
    const files = new Map<string, Buffer>();
    const reader = extract();
    reader.end(archive);
    for await (const entry of reader) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      files.set(entry.header.name, Buffer.concat(chunks));
    }
    return files;
  }
});

describe('refusals', () => {
  test.each([
    [{ type: 'application/json' }, 415, 'unsupported_media_type'],
    [{ type: 'application/octet-stream' }, 415, 'unsupported_media_type'],
    [{ type: 'text/csv; charset=latin1' }, 415, 'unsupported_media_type'],
    [{ headers: { 'content-encoding': 'gzip' } }, 415, 'unsupported_content_encoding'],
    [{ mode: 'merge' }, 400, 'invalid_querystring'],
    [{ typos: '1' }, 400, 'invalid_querystring'],
  ])('of an import with %j', async (options, status, code) => {
    const acme = await signUpAndIn(service);
    expectProblem(await importing(service, acme, '{"n":1}', options), status, code);
  });

  test.each([
    [{ filter: '{' }, '/filter'],
    [{ filter: '{"$where":"1"}' }, '/filter/$where'],
    [{ fields: 'a,,b' }, '/fields'],
    [{ fields: 'a,a' }, '/fields'],
    [{ fields: '$a' }, '/fields'],
    [{ format: 'mongodump', fields: 'a' }, '/fields'],
  ])('of an export with %j', async (query, path) => {
    const acme = await signUpAndIn(service);
    const refusal = await exporting(service, acme, query as never);
    expect(refusal.statusCode).toBe(422);
    expect(pathsOf(refusal.json())).toEqual([path]);
  });

  test('of what the database cannot do', async () => {
    const acme = await signUpAndIn(service);
    expectProblem(await exporting(service, acme, { fields: 'a,a.b' }), 422, 'refused_by_database');
  });
});
