import type { LightMyRequestResponse } from 'fastify';
import type { TestService } from './test-service.ts';

/** What `RateLimit` and `RateLimit-Policy` say, by the name of the limit. */
export type LimitField = Record<string, Record<string, number>>;

/** Sends a JSON body from an address. */
export function post(
  { app }: Pick<TestService, 'app'>,
  url: string,
  payload: object,
  remoteAddress: string,
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url, payload, remoteAddress, headers });
}

/**
 * Reads a list of strings with whole-number parameters (RFC 9651), and nothing laxer.
 *
 * @throws Error when the field is missing or is anything else
 */
export function limitsIn(response: LightMyRequestResponse, field: string): LimitField {
  const text = String(response.headers[field]);
  const members = text.split(', ').map((member) => {
    const match = /^"([a-z-]+)"((?:;[a-z]+=\d{1,15})+)$/.exec(member);
    if (match?.[1] === undefined || match[2] === undefined)
      throw new Error(`not a list of limits: ${field}: ${text}`);
    const parameters = match[2].slice(1).split(';');
    const pairs = parameters.map((one) => one.split('=')).map(([key, n]) => [key, Number(n)]);
    return [match[1], Object.fromEntries(pairs)] as const;
  });
  return Object.fromEntries(members);
}

/** `Retry-After`, in seconds. */
export function retryAfter(response: LightMyRequestResponse): number {
  return Number(response.headers['retry-after']);
}
