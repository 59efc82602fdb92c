import { slugOf } from '../tenants/organization-name.ts';

/** In Unicode code points. A name has at most 100; only a few letters become more than one in lower case. */
const MAX_LENGTH = 100;

/** What every organization is found by when nothing is searched for, so that every list is served by the same indexes. */
export const EVERYTHING = '';

/**
 * All that an organization is found by: every beginning of its slug, and of each word in it. So a search is a look-up of one
 * key of an index, whatever it is sorted by, and costs the same among a hundred organizations and a hundred thousand. At most
 * some 200 short texts; about 40 for a name of three words.
 */
export function searchKeysOf(slug: string): string[] {
  const keys = new Set([EVERYTHING]);
  for (const text of [slug, ...slug.split('_')]) {
    let key = '';
    for (const character of Array.from(text).slice(0, MAX_LENGTH)) {
      key += character;
      keys.add(key);
    }
  }
  return [...keys];
}

/**
 * The key that a search asks for: without regard to case, spacing, punctuation and invisible characters, as with names.
 *
 * @returns {@link EVERYTHING} for a text of nothing else
 */
export function searchKeyOf(text: string): string {
  return Array.from(slugOf(text.trim())).slice(0, MAX_LENGTH).join('');
}
