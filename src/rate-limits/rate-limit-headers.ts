import { Type } from 'typebox';
import type { LimitPolicy, LimitReport } from './limit-reports.ts';

/**
 * `RateLimit-Policy` and `RateLimit` as structured fields (RFC 9651).
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (versions 08 to 11)
 */
export function policyField(policies: readonly LimitPolicy[]): string {
  return policies
    .map(({ name, quota, windowSeconds }) =>
      windowSeconds === undefined
        ? `"${name}";q=${quota}`
        : `"${name}";q=${quota};w=${windowSeconds}`,
    )
    .join(', ');
}

/** What is left of each limit that the request has met. */
export function limitField(reports: readonly LimitReport[]): string {
  return reports
    .map(({ policy, remaining, resetSeconds }) =>
      resetSeconds === undefined
        ? `"${policy.name}";r=${remaining}`
        : `"${policy.name}";r=${remaining};t=${resetSeconds}`,
    )
    .join(', ');
}

/** The headers of every answer of a limited route, for the document. */
export function limitHeaders(policies: readonly LimitPolicy[]) {
  const [first] = policies;
  const report = first && { policy: first, remaining: first.quota - 1, resetSeconds: 59 };
  return {
    'RateLimit-Policy': Type.String({
      description: 'The limits that hold here: `q` requests, or failures, in `w` seconds.',
      examples: [policyField(policies)],
    }),
    RateLimit: Type.String({
      description:
        'Of each limit that was looked at, what remains (`r`), and the seconds until there is more (`t`).',
      examples: [limitField(report === undefined ? [] : [report])],
    }),
  };
}
