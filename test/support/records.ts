import type { LightMyRequestResponse } from 'fastify';
import { recordIdText } from '../../src/records/record-id.ts';
import { expectStatus, type TestService } from './test-service.ts';

type Reply = Promise<LightMyRequestResponse>;
type Headers = Record<string, string>;

/** The records of one organization, as a client calls for them. Bodies are sent as they are given, right or wrong. */
export interface Records {
  create(body: unknown, headers?: Headers, query?: string): Reply;
  get(id: unknown, query?: Record<string, string>, headers?: Headers): Reply;
  put(id: unknown, body: unknown, headers?: Headers): Reply;
  patch(id: unknown, body: unknown, headers?: Headers): Reply;
  remove(id: unknown, headers?: Headers): Reply;
  list(query?: Record<string, string>): Reply;
  query(body: unknown): Reply;
  count(filter?: unknown): Reply;
  batch(body: unknown, headers?: Headers): Reply;
  /** Every page of a query, one list a page. */
  pages(query: object, between?: () => Promise<unknown>): Promise<Row[][]>;
}

export type Row = Record<string, unknown>;

export function recordsOf({ app }: Pick<TestService, 'app'>, auth: Headers): Records {
  const send = (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    more: { body?: unknown; query?: Record<string, string>; headers?: Headers | undefined } = {},
  ): Reply =>
    app.inject({
      ...{ method, url: `/org/records${path}` },
      headers: {
        ...auth,
        ...('body' in more && { 'content-type': 'application/json' }),
        ...more.headers,
      },
      ...(more.query && { query: more.query }),
      ...('body' in more && {
        payload: typeof more.body === 'string' ? more.body : JSON.stringify(more.body),
      }),
    });
  const at = (id: unknown) => `/${encodeURIComponent(recordIdText(id))}`;
  const records: Records = {
    create: (body, headers, query = '') => send('POST', query, { body, headers }),
    get: (id, query = {}, headers = {}) => send('GET', at(id), { query, headers }),
    put: (id, body, headers) => send('PUT', at(id), { body, headers }),
    patch: (id, body, headers) => send('PATCH', at(id), { body, headers }),
    remove: (id, headers) => send('DELETE', at(id), { headers }),
    list: (query = {}) => send('GET', '', { query }),
    query: (body) => send('POST', '/query', { body }),
    count: (filter) =>
      send(
        'GET',
        '/count',
        filter === undefined ? {} : { query: { filter: JSON.stringify(filter) } },
      ),
    batch: (body, headers) => send('POST', '/batch', { body, headers }),
    async pages(query, between = async () => {}) {
      const pages: Row[][] = [];
      for (let after: string | null | undefined; after !== null; ) {
        const page = await records.query({ ...query, ...(after !== undefined && { after }) });
        const { data, next_cursor } = expectStatus(page, 200).json();
        pages.push(data);
        after = next_cursor as string | null;
        if (after !== null) await between();
      }
      return pages;
    },
  };
  return records;
}
