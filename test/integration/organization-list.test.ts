import type { Document } from 'mongodb';
import { beforeAll, describe, expect, test } from 'vitest';
import { ORGANIZATION_ORDERS } from '../../src/operators/organization-list-service.ts';
import { LISTED_STATUSES, statesOf } from '../../src/operators/organization-status.ts';
import {
  type OrganizationSort,
  queriesOf,
  type SortValue,
} from '../../src/registry/organization-list-store.ts';
import { searchKeyOf } from '../../src/registry/search-keys.ts';
import { expectProblem, pathsOf } from '../support/api.ts';
import { anOperator, ask, type TestOperator } from '../support/operators.ts';
import { registryDocument } from '../support/registry-documents.ts';
import { expectStatus, startTestService, type TestService } from '../support/test-service.ts';

const MANY = 3_000;
const FIELDS: Record<OrganizationSort, string> = {
  name: 'name_key',
  created_at: 'created_at',
  size: 'measured.bytes',
  last_activity: 'last_active_at',
};

let service: TestService;
let grace: TestOperator;
const documents = Array.from({ length: MANY }, (_, at) => registryDocument(at));

beforeAll(async () => {
  service = await startTestService();
  await service.db.collection('organizations').insertMany(documents);
  grace = await anOperator(service);
  return () => service[Symbol.asyncDispose]();
});

const list = (query: Record<string, string> = {}) =>
  ask(service, 'GET', `/orgs?${new URLSearchParams(query)}`, grace.auth);

async function pagesOf(query: Record<string, string>): Promise<Document[]> {
  const all: Document[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page = expectStatus(await list({ ...query, ...(after && { after }) }), 200).json();
    all.push(...page.data);
    after = page.next_cursor;
  }
  return all;
}

function fieldOf(document: Document, sort: OrganizationSort): SortValue {
  return sort === 'size' ? document.measured.bytes : document[FIELDS[sort]];
}

function compare(one: SortValue, other: SortValue): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** What a list is to give, worked out without the database. */
function expected(order: string, keep: (document: Document) => boolean): string[] {
  const sort = order.replace('-', '') as OrganizationSort;
  const sign = order.startsWith('-') ? -1 : 1;
  const byId = (document: Document) => document._id.toHexString();
  return documents
    .filter(keep)
    .sort(
      (a, b) => sign * (compare(fieldOf(a, sort), fieldOf(b, sort)) || compare(byId(a), byId(b))),
    )
    .map(byId);
}

describe('a list', () => {
  test.each(ORGANIZATION_ORDERS)('by %s gives everything once, in order', async (sort) => {
    const all = await pagesOf({ sort, limit: '200' });
    expect(all.map(({ id }) => id)).toEqual(expected(sort, () => true));
  });

  test.each(ORGANIZATION_ORDERS)('by %s has no seam between small pages', async (sort) => {
    const query = { sort, q: 'globex', status: 'suspended' };
    const wanted = expected(
      sort,
      ({ slug, state }) => slug.startsWith('globex') && state === 'suspended',
    );
    for (const limit of ['1', '7'])
      expect((await pagesOf({ ...query, limit })).map(({ id }) => id)).toEqual(wanted);
  });

  test('tells what there is to tell of an organization', async () => {
    const [first] = expectStatus(await list({ q: 'acme labs 2000 ' }), 200).json().data;
    expect(first).toEqual({
      id: documents[2_000]?._id.toHexString(),
      organization_name: 'Acme Labs 2000 GmbH',
      collection_name: 'org_acme_labs_2000_gmbh',
      database: 'tenants',
      status: 'suspended',
      external_id: 'x-2000',
      created_at: documents[2_000]?.created_at.toISOString(),
      updated_at: documents[2_000]?.updated_at.toISOString(),
      ...{ records: 2_000, bytes: 0 },
      measured_at: documents[2_000]?.measured.at.toISOString(),
      last_active_at: documents[2_000]?.last_active_at.toISOString(),
      suspension: null,
      purge_at: null,
    });
  });

  test('has 50 on a page unless told otherwise, and 200 at most', async () => {
    expect(expectStatus(await list(), 200).json().data).toHaveLength(50);
    expect(expectStatus(await list({ limit: '200' }), 200).json().data).toHaveLength(200);
    expectProblem(await list({ limit: '201' }), 400, 'invalid_querystring');
    expectProblem(await list({ limit: '0' }), 400, 'invalid_querystring');
  });

  test('of a word of the name', async () => {
    const found = await pagesOf({ q: 'SARL', limit: '200' });
    expect(found.map(({ id }) => id)).toEqual(
      expected('name', ({ slug }) => slug.endsWith('_sarl')),
    );
    expect(expectStatus(await list({ q: 'nobody' }), 200).json()).toEqual({
      data: [],
      next_cursor: null,
    });
  });

  test('of an external id is the one that has it', async () => {
    const of = async (query: Record<string, string>) =>
      expectStatus(await list({ external_id: 'x-17', ...query }), 200).json().data;
    const [found, ...more] = await of({});
    expect(found.id).toBe(documents[17]?._id.toHexString());
    expect(more).toEqual([]);
    expect(await of({ status: 'active', q: 'globex' })).toHaveLength(1);
    expect(await of({ status: 'suspended' })).toEqual([]);
    expect(await of({ q: 'acme' })).toEqual([]);
    expect(await of({ external_id: 'x-none' })).toEqual([]);
  });

  test.each([
    [{ sort: 'slug' }, '/sort'],
    [{ sort: '+name' }, '/sort'],
    [{ status: 'gone' }, '/status'],
    [{ q: '' }, '/q'],
    [{ q: 'x'.repeat(201) }, '/q'],
    [{ limit: 'many' }, '/limit'],
    [{ 'q[$gt]': '' }, '/q[$gt]'],
    [{ page: '2' }, '/page'],
  ])('asked for with %j is refused', async (query, path) => {
    const problem = expectProblem(
      await list(query as Record<string, string>),
      400,
      'invalid_querystring',
    );
    expect(pathsOf(problem)).toEqual([path]);
  });

  test.each([
    '.*',
    '$where',
    '\u0000'.replace('\u0000', '%'),
    '{"$gt":""}',
    '\u200d',
    '_',
    '(((((',
    '😀',
  ])('of %j is no fault', async (q) => {
    expectStatus(await list({ q }), 200);
  });

  test('takes a cursor for the order that gave it only', async () => {
    const { next_cursor: after } = expectStatus(await list({ sort: 'size' }), 200).json();
    expectProblem(await list({ sort: 'name', after }), 400, 'invalid_cursor');
    expectProblem(await list({ after: 'x' }), 400, 'invalid_cursor');
    expectStatus(await list({ sort: 'size', after }), 200);
  });
});

describe('the plan', () => {
  /** Every stage of a plan, by name. */
  function* stagesOf(plan: Document): Generator<string> {
    yield plan.stage;
    for (const inner of [plan.inputStage, ...(plan.inputStages ?? [])])
      if (inner) yield* stagesOf(inner);
  }

  const statuses = [undefined, ...LISTED_STATUSES];
  const searches = [undefined, 'a', 'globex', 'labs', 'globex labs 1', 'nobody'];
  const combinations = ORGANIZATION_ORDERS.flatMap((order) =>
    statuses.flatMap((status) => searches.map((q) => [order, status, q] as const)),
  );

  test.each([10, 200])(
    'of every page of %i walks an index in order, and looks at no more than it gives',
    async (limit) => {
      const organizations = service.db.collection('organizations');
      for (const [order, status, q] of combinations) {
        const sort = order.replace('-', '') as OrganizationSort;
        const request = {
          ...{ sort, descending: order.startsWith('-'), limit },
          states: statesOf(status),
          searchKey: q === undefined ? '' : searchKeyOf(q),
        };
        const middle = documents[MANY / 2] as Document;
        const after = { value: fieldOf(middle, sort), id: middle._id };
        for (const query of [...queriesOf(request), ...queriesOf({ ...request, after })]) {
          const { queryPlanner, executionStats } = await organizations
            .find(query.filter as Document, { ...query.options, limit: limit + 1 })
            .explain('executionStats');
          const stages = new Set(stagesOf(queryPlanner.winningPlan));
          const where = `${order} ${status} ${q}`;
          expect.soft(stages, where).not.toContain('COLLSCAN');
          expect.soft(stages, where).not.toContain('SORT');
          expect.soft(stages, where).toContain('IXSCAN');
          const { nReturned, totalDocsExamined, totalKeysExamined } = executionStats;
          expect.soft(totalDocsExamined, where).toBeLessThanOrEqual(nReturned);
          // One more for each state, which are merged.
          expect
            .soft(totalKeysExamined, where)
            .toBeLessThanOrEqual(nReturned + 2 * request.states.length);
        }
      }
    },
  );
});
