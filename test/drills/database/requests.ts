import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ObjectId } from 'mongodb';
import { type Answer, type DrillService, kindOf } from './drill-service.ts';
import type { Ledger } from './ledger.ts';
import { signUp, type Tenant } from './load.ts';
import { promise } from './verdict.ts';

/** Guarantee 5: an answer comes within this time, however the database fares. */
export const ANSWER_LIMIT_MS = 3_000;

type Request = (service: DrillService, tenant: Tenant, ledger: Ledger) => Promise<Answer>;

/** Every kind of request that needs the database. What one of them may have done without saying so goes into the ledger. */
export const REQUESTS: Record<string, Request> = {
  'health/ready': (service) => service.request('GET', '/health/ready'),
  create: createWith({}),
  'create with a key': (...all) =>
    createWith({ 'idempotency-key': new ObjectId().toHexString() })(...all),
  get: (service, { name }) =>
    service.request('GET', `/org/get?organization_name=${encodeURIComponent(name)}`),
  'get with a token': (service, { token }) => service.request('GET', '/org/get', { token }),
  login: (service, { email, password }) =>
    service.request('POST', '/admin/login', { body: { email, password } }),
  refresh: (service, { refreshToken }) =>
    service.request('POST', '/admin/refresh', { body: { refresh_token: refreshToken } }),
  logout: (service, { token }) => service.request('POST', '/admin/logout', { token }),
  rename: async (service, { id, token }, ledger) => {
    const name = newName();
    ledger.mayBeCalled(id, name);
    return service.request('PUT', '/org/update', { token, body: { organization_name: name } });
  },
  'update of metadata': (service, { token }) =>
    service.request('PUT', '/org/update', { token, body: { metadata: { drill: true } } }),
  delete: async (service, { id, token }, ledger) => {
    ledger.mayBeGone(id);
    return service.request('DELETE', '/org/delete', { token });
  },
};

function createWith(headers: Record<string, string>): Request {
  return (service, _tenant, ledger) => {
    const name = newName();
    ledger.unknownNames.add(name);
    return service.request('POST', '/org/create', { body: signUp(name), headers });
  };
}

export function newName(): string {
  return `Asked ${new ObjectId().toHexString()}`;
}

/** Answers to requests that were sent together. */
export interface Answers {
  all: { request: string; answer: Answer }[];
  /** The longest this process, which is client and service at once, did not get to run meanwhile. In milliseconds. */
  stalledMs: number;
}

/** Sends every kind of request at once, `copies` times. */
export async function askEverything(
  service: DrillService,
  tenant: Tenant,
  ledger: Ledger,
  copies = 1,
): Promise<Answers> {
  const requests = Array.from({ length: copies }, () => Object.entries(REQUESTS)).flat();
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const all = await Promise.all(
    requests.map(async ([request, send]) => ({
      request,
      answer: await send(service, tenant, ledger),
    })),
  );
  delay.disable();
  return { all, stalledMs: Math.round(delay.max / 1e6) };
}

/**
 * Holds answers to the guarantee for a database that is away: 503 with `Retry-After`, as a problem, in time. Time in which
 * the machine did not let this process run does not count.
 *
 * @returns the slowest answer, in milliseconds
 * @throws BrokenPromiseError
 */
export function expectUnavailable({ all, stalledMs }: Answers): number {
  for (const { request, answer } of all) {
    const { status, headers, milliseconds } = answer;
    const seen = `${request}: ${kindOf(answer)} after ${milliseconds} ms, stalled for ${stalledMs} ms`;
    promise(status === 503, 'a database that is away is a 503', seen);
    promise(headers.has('retry-after'), 'a 503 says when to try again', seen);
    // Readiness has a body of its own, for orchestrators.
    const type = request === 'health/ready' ? 'application/json' : 'application/problem+json';
    promise(headers.get('content-type')?.startsWith(type) === true, `answers are ${type}`, seen);
    promise(milliseconds <= ANSWER_LIMIT_MS + stalledMs, 'an answer comes within 3 s', seen);
  }
  return Math.max(...all.map(({ answer }) => answer.milliseconds));
}
