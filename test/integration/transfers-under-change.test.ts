import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  expectStatus,
  type SignedUp,
  signUpAndIn,
  startTestService,
} from '../support/test-service.ts';
import { exporting, importing, linesOf } from '../support/transfers.ts';

/** What happens to an organization, or to the connection, while its records are on their way. */

const service = await startTestService();
let port: number;
beforeAll(async () => {
  await service.app.listen({ port: 0, host: '127.0.0.1' });
  port = (service.app.server.address() as AddressInfo).port;
});
afterAll(() => service[Symbol.asyncDispose]());

const RECORDS = 3_000;
/** So large that not all of them fit into what is on its way between the database and the client. */
const TEXT = 'x'.repeat(8_000);

function collectionOf({ organization }: SignedUp) {
  return service.db.collection<{ _id: number }>(organization.collection_name);
}

async function aFullOrganization(): Promise<SignedUp> {
  const acme = await signUpAndIn(service);
  const records = Array.from({ length: RECORDS }, (_, _id) => ({ _id, text: TEXT }));
  await collectionOf(acme).insertMany(records);
  return acme;
}

/** An export that has begun, and of which nothing more is read for now. */
async function anExport({ auth }: SignedUp, query = ''): Promise<IncomingMessage> {
  const asking = request({ port, path: `/org/records/export${query}`, headers: auth });
  asking.end();
  const [response] = await once(asking, 'response');
  return response;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function lines(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, n) => `{"_id":${from + n}}\n`).join('');
}

/** An import that is under way, and how to wait until so many records are stored. */
function anImport({ auth }: SignedUp, headers: Record<string, string> = {}): ClientRequest {
  return request({
    ...{ port, method: 'POST', path: '/org/records/import' },
    headers: { ...auth, 'content-type': 'application/x-ndjson', ...headers },
  });
}

async function stored(count: number, name: () => string): Promise<void> {
  while ((await service.db.collection(name()).countDocuments()) < count)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

async function rename({ auth }: SignedUp): Promise<string> {
  const payload = { organization_name: `Renamed ${new ObjectId().toHexString()}` };
  const url = '/org/update';
  const answer = await service.app.inject({ method: 'PUT', url, headers: auth, payload });
  return expectStatus(answer, 200).json().collection_name;
}

test('a rename in the middle of an export: nothing is lost, nothing comes twice', async () => {
  const acme = await aFullOrganization();
  const response = await anExport(acme);
  await rename(acme);
  const found = linesOf(await textOf(response)) as { _id: number }[];
  expect(found.map(({ _id }) => _id)).toEqual(Array.from({ length: RECORDS }, (_, n) => n));
});

test('a deletion in the middle of an export ends the connection, not the file', async () => {
  const acme = await aFullOrganization();
  const response = await anExport(acme);
  const { auth: headers } = acme;
  expectStatus(await service.app.inject({ method: 'DELETE', url: '/org/delete', headers }), 200);
  await expect(textOf(response)).rejects.toThrow(/aborted/);
});

test('a client that goes away leaves no cursor', async () => {
  const acme = await aFullOrganization();
  const response = await anExport(acme);
  const name = acme.organization.collection_name;
  const cursors = async () => {
    const found = await service.client
      .db('admin')
      .aggregate([
        { $currentOp: { idleCursors: true, allUsers: true } },
        {
          $match: {
            'cursor.cursorId': { $exists: true },
            ns: `${service.db.databaseName}.${name}`,
          },
        },
      ])
      .toArray();
    return found.length;
  };
  expect(await cursors()).toBe(1);
  response.destroy();
  while ((await cursors()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('a rename in the middle of an import: every record is where it belongs', async () => {
  const acme = await signUpAndIn(service);
  const sending = anImport(acme);
  const answered = once(sending, 'response');
  sending.write(lines(0, 1_500));
  await stored(1_000, () => acme.organization.collection_name);
  const name = await rename(acme);
  sending.end(lines(1_500, 3_000));
  const [response] = await answered;
  expect(JSON.parse(await textOf(response))).toMatchObject({ inserted: 3_000, failed: 0 });
  const { total } = { total: await service.db.collection(name).countDocuments() };
  expect(total).toBe(3_000);
  const left = await service.db
    .listCollections({ name: acme.organization.collection_name })
    .toArray();
  expect(left).toEqual([]);
});

test.each([
  ['the report', {}],
  ['progress', { accept: 'application/x-ndjson' }],
])('whoever may no longer write does not go on importing; with %s', async (what, headers) => {
  const acme = await signUpAndIn(service);
  const sending = anImport(acme, headers);
  const answered = once(sending, 'response');
  sending.on('error', () => {});
  sending.write(lines(0, 1_000));
  await stored(1_000, () => acme.organization.collection_name);
  if (what === 'progress') service.clock.advance(1_000);
  sending.write(lines(1_000, 1_500));
  const url = '/admin/logout';
  expectStatus(await service.app.inject({ method: 'POST', url, headers: acme.auth }), 204);
  sending.write(lines(1_500, 5_000));
  sending.end();
  const [response] = await answered;
  const text = await textOf(response);
  if (what === 'progress') {
    expect(response.statusCode).toBe(200);
    expect(linesOf(text)).toEqual([
      { progress: expect.objectContaining({ inserted: expect.any(Number) }) },
      { problem: expect.objectContaining({ status: 401, code: 'invalid_token' }) },
    ]);
  } else expect([response.statusCode, JSON.parse(text).code]).toEqual([401, 'invalid_token']);
  expect(await collectionOf(acme).countDocuments()).toBeLessThanOrEqual(1_500);
});

test('a broken-off upload leaves whole batches, and can be repeated', async () => {
  const acme = await signUpAndIn(service);
  const sending = anImport(acme);
  sending.on('error', () => {});
  sending.write(lines(0, 2_500));
  await stored(2_000, () => acme.organization.collection_name);
  sending.destroy();
  const again = await importing(service, acme, lines(0, 2_500), { mode: 'upsert' });
  expect(again.json()).toMatchObject({ inserted: 500, replaced: 2_000 });
  expect(await collectionOf(acme).countDocuments()).toBe(2_500);
});

test('a body of many megabytes, in pieces that end anywhere', async () => {
  const acme = await signUpAndIn(service);
  const sending = anImport(acme);
  const answered = once(sending, 'response');
  const body = Buffer.from(
    Array.from({ length: 2_000 }, (_, _id) => `{"_id":${_id},"t":"é${TEXT}"}\n`).join(''),
  );
  for (let at = 0; at < body.length; at += 99_991) sending.write(body.subarray(at, at + 99_991));
  sending.end();
  const [response] = await answered;
  const report = { bytes: body.length, lines: 2_000, inserted: 2_000, failed: 0 };
  expect(JSON.parse(await textOf(response))).toMatchObject(report);
  const out = await exporting(service, acme);
  expect(Buffer.byteLength(out.body)).toBe(body.length);
});
