import { AppError } from '../errors.ts';

/** What `If-Match` or `If-None-Match` holds: `*`, or entity tags as they were sent. */
export type EntityTags = '*' | readonly string[];

/** One entity tag, or `*`. */
export const ONE_ENTITY_TAG = '^(\\*|(W/)?"[!#-~]*")$';

/** The conditions of a change. */
export interface ChangeConditions {
  ifMatch?: EntityTags;
  /** The record must not exist. */
  ifAbsent?: boolean;
}

/**
 * Reads a list of entity tags.
 *
 * @param header - the name of the header, in lower case, for errors
 * @throws AppError `invalid_headers`
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-if-match
 */
export function entityTagsOf(text: string, header: string): EntityTags {
  if (text.trim() === '*') return '*';
  const tag = String.raw`(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"`;
  const list = new RegExp(String.raw`^[\t ,]*${tag}(?:[\t ]*,[\t ,]*${tag})*[\t ,]*$`);
  if (text.length <= MAX_LENGTH && list.test(text)) return text.match(new RegExp(tag, 'g')) ?? [];
  const message = 'must be *, or entity tags in double quotes';
  throw new AppError('malformed', 'invalid_headers', `${header}: ${message}`, {
    errors: [{ path: `/${header}`, message }],
  });
}

const MAX_LENGTH = 4_096;

/** For `If-None-Match` of a read, where a weak tag is as good as a strong one (RFC 9110, 13.1.2). */
export function matchesWeakly(tags: EntityTags, etag: string): boolean {
  return tags === '*' || tags.some((one) => one.replace(/^W\//, '') === etag);
}

/** For `If-Match`, where a weak tag never matches (RFC 9110, 13.1.1). */
export function matches(tags: EntityTags, etag: string): boolean {
  return tags === '*' || tags.includes(etag);
}

/**
 * The conditions of a change.
 *
 * @throws AppError `invalid_headers`
 */
export function conditionsOf(headers: {
  'if-match'?: string | undefined;
  'if-none-match'?: string | undefined;
}): ChangeConditions {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  if (noneMatch !== undefined && noneMatch.trim() !== '*') {
    const message = 'must be *: there is no change for records that have other versions';
    throw new AppError('malformed', 'invalid_headers', `if-none-match: ${message}`, {
      errors: [{ path: '/if-none-match', message }],
    });
  }
  return {
    ...(match !== undefined && { ifMatch: entityTagsOf(match, 'if-match') }),
    ...(noneMatch !== undefined && { ifAbsent: true }),
  };
}
