import type { LightMyRequestResponse } from 'fastify';
import type { SignedUp, TestService } from './test-service.ts';

type By = Pick<TestService, 'app'>;
type Auth = Pick<SignedUp, 'auth'>;

/** Imports a body. */
export function importing(
  { app }: By,
  { auth }: Auth,
  payload: string | Buffer,
  {
    type = 'application/x-ndjson',
    headers = {},
    ...query
  }: { type?: string; headers?: Record<string, string> } & Record<string, unknown> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    ...{ method: 'POST', url: '/org/records/import', payload },
    query: query as Record<string, string>,
    headers: { ...auth, 'content-type': type, ...headers },
  });
}

/** Exports. */
export function exporting(
  { app }: By,
  { auth }: Auth,
  query: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({ url: '/org/records/export', query, headers: auth });
}

/** The documents of an NDJSON. */
export function linesOf(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
