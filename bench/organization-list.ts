/**
 * How long a page of `GET /orgs` takes at 100,000 organizations, the first and those further on, through HTTP handlers without
 * a socket. Registry documents only. Usage: `MONGO_URL=… node bench/organization-list.ts [organizations]`
 */
import { randomBytes } from 'node:crypto';
import type { Collection } from 'mongodb';
import pino from 'pino';
import { buildApp } from '../src/app.ts';
import { createMongoClient } from '../src/database/mongo-client.ts';
import { cursorOf } from '../src/operators/organization-cursor.ts';
import {
  ORGANIZATION_ORDERS,
  type OrganizationListRequest,
  type OrganizationOrder,
} from '../src/operators/organization-list-service.ts';
import { statesOf } from '../src/operators/organization-status.ts';
import type { OrganizationDocument } from '../src/registry/organization-document.ts';
import {
  type OrganizationSort,
  queriesOf,
  sortValueOf,
} from '../src/registry/organization-list-store.ts';
import { EVERYTHING, searchKeyOf } from '../src/registry/search-keys.ts';
import { createServices } from '../src/services.ts';
import { registryDocument } from '../test/support/registry-documents.ts';

const COUNT = Number(process.argv[2] ?? 100_000);
const PAGE = 100;
const ROUNDS = 60;
const BATCH = 5_000;
const FILTERS: readonly Pick<OrganizationListRequest, 'q' | 'status'>[] = [
  {},
  { status: 'active' },
  { status: 'suspended' },
  { q: 'glob' },
  { q: 'labs', status: 'active' },
];

const { MONGO_URL } = process.env;
if (MONGO_URL === undefined) throw new Error('set MONGO_URL');
const client = createMongoClient(MONGO_URL);
const database = `bench_${randomBytes(4).toString('hex')}`;
const logger = pino({ level: 'silent' });
const services = createServices(
  client,
  {
    ...{ masterDatabase: database, tenantDatabase: database, maxCollections: 9_000 },
    ...{ jwtSecret: randomBytes(32).toString('hex'), issuer: 'bench', audience: 'bench' },
    ...{ accessTtlSeconds: 3_600, refreshTtlSeconds: 3_600, idleTtlSeconds: 3_600 },
    ...{ bcryptCost: 10, publicUrl: 'http://127.0.0.1', rateLimits: false },
    firstOperator: { email: 'bench@ops.example', password: 'a passphrase of the bench' },
  },
  logger,
);
try {
  const organizations = client.db(database).collection<OrganizationDocument>('organizations');
  const beganAt = performance.now();
  for (let from = 0; from < COUNT; from += BATCH)
    await organizations.insertMany(
      Array.from({ length: Math.min(BATCH, COUNT - from) }, (_, at) =>
        registryDocument(from + at),
      ) as OrganizationDocument[],
    );
  // The indexes come after the documents: to build them at once takes less time than to keep them up to date.
  await services.start();
  const app = await buildApp(services, { logger });
  const seconds = Math.round((performance.now() - beganAt) / 1_000);
  const [stats] = await organizations.aggregate([{ $collStats: { storageStats: {} } }]).toArray();
  const { size, totalIndexSize } = stats?.storageStats ?? {};
  console.log(
    `${COUNT} documents in ${seconds} s: ${mb(size)} MB, indexes ${mb(totalIndexSize)} MB on disk`,
  );

  const login = await app.inject({
    ...{ method: 'POST', url: '/operator/login' },
    payload: { email: 'bench@ops.example', password: 'a passphrase of the bench' },
  });
  const headers = { authorization: `Bearer ${login.json().access_token}` };
  const page = async (query: Record<string, string>) => {
    const startedAt = performance.now();
    const answer = await app.inject({
      url: '/orgs',
      headers,
      query: { limit: String(PAGE), ...query },
    });
    const ms = performance.now() - startedAt;
    if (answer.statusCode !== 200) throw new Error(answer.body);
    return { ms, ...answer.json() };
  };

  for (const filter of FILTERS)
    for (const sort of ORGANIZATION_ORDERS) {
      const cursors = await cursorsOf(organizations, { ...filter, sort });
      const figures: string[] = [];
      let first = 0;
      for (const [where, after] of Object.entries(cursors)) {
        const times: number[] = [];
        for (let round = 0; round < ROUNDS; round += 1)
          times.push(
            (await page({ ...filter, sort, ...(after && { after }) } as Record<string, string>)).ms,
          );
        times.sort((a, b) => a - b);
        const p50 = times[Math.floor(ROUNDS / 2)] ?? 0;
        const p99 = times[Math.ceil(ROUNDS * 0.99) - 1] ?? 0;
        if (where === 'first') first = p99;
        figures.push(`${where} ${p50.toFixed(1)}/${p99.toFixed(1)} (${(p99 / first).toFixed(1)}x)`);
      }
      console.log(`${JSON.stringify(filter)} ${sort}: ${figures.join(', ')}`);
    }
  await app.close();
} finally {
  await client.db(database).dropDatabase();
  await services[Symbol.asyncDispose]();
  await client.close();
}

/** Cursors of the middle and near the end of a list, found without walking there. */
async function cursorsOf(
  organizations: Collection<OrganizationDocument>,
  { q, status, sort: order }: OrganizationListRequest & { sort: OrganizationOrder },
): Promise<Record<string, string | undefined>> {
  const sort = order.replace('-', '') as OrganizationSort;
  const searchKey = q === undefined ? EVERYTHING : searchKeyOf(q);
  const request = { sort, descending: order.startsWith('-'), states: statesOf(status), searchKey };
  const [query] = queriesOf({ ...request, limit: 1 });
  if (query === undefined) throw new Error('a first page is one query');
  const total = await organizations.countDocuments(query.filter);
  const at = async (skip: number) => {
    const [found] = await organizations
      .find(query.filter, { ...query.options, skip, limit: 1 })
      .toArray();
    return found && cursorOf(order, { value: sortValueOf(found, sort), id: found._id });
  };
  return {
    first: undefined,
    middle: await at(Math.floor(total / 2)),
    last: await at(Math.max(0, total - PAGE - 1)),
  };
}

function mb(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}
