import { InvalidFieldError } from '../errors.ts';
import { caseless } from './caseless.ts';
import { prototypeOf } from './look-alike-letters.ts';

/** An organization's name and the three identities that follow from it. All are well-formed Unicode in NFKC. */
export interface OrganizationName {
  /** What people see: the name as written, trimmed. 1–100 code points. */
  readonly display: string;
  /** The written name without regard to case and spacing. Equal keys have equal slugs. */
  readonly key: string;
  /** One slug, one organization. Letters, marks, digits and `_` only; see {@link slugOf}. */
  readonly slug: string;
  /** Equal for names that look alike; see {@link skeletonOf}. Equal slugs have equal skeletons. */
  readonly skeleton: string;
}

/** In Unicode code points, after normalization. */
const MAX_LENGTH = 100;

/**
 * No text above this many UTF-16 code units can shrink to {@link MAX_LENGTH} by normalization: a code point composes
 * out of at most four (ᾂ), each of at most two units. Normalizing megabytes to learn that they are too long is waste.
 */
const MAX_RAW_LENGTH = MAX_LENGTH * 4 * 2;

const REFUSED = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/u;
const REFUSED_KINDS: readonly (readonly [RegExp, string])[] = [
  [/\p{Cc}/u, 'control characters'],
  [/\p{Bidi_Control}/u, 'characters that change the direction of text'],
  [/[\p{Zl}\p{Zp}]/u, 'line or paragraph separators'],
  [/\p{Co}/u, 'private-use characters'],
  [/\p{Cn}/u, 'characters that Unicode has not assigned'],
];

const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
const WHITE_SPACE = /\s+/gu;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}+/gu;
/** A mark belongs to the character before it: to a letter, or else to what separates (NFKC of "´" is space + mark). */
const SEPARATOR = /(?:[^\p{L}\p{M}\p{N}]|^\p{M})[^\p{L}\p{N}]*/gu;
const NEITHER_ASCII_NOR_HANGUL = /[^\0-\x7f\uac00-\ud7a3]+/gu;

/**
 * Reads the name of an organization: trimmed, NFKC (Unicode Standard Annex #15), 1–100 code points, at least one
 * letter or digit of any script.
 *
 * @param path - JSON Pointer of the field, for the error
 * @throws InvalidFieldError saying which rule the name breaks. No string makes it throw anything else.
 */
export function parseOrganizationName(raw: string, path = '/organization_name'): OrganizationName {
  const refuse = (message: string): never => {
    throw new InvalidFieldError(path, message);
  };
  if (!raw.isWellFormed()) refuse('must be well-formed Unicode, without lone surrogates');
  const display = displayOf(raw) ?? refuse(`must be at most ${MAX_LENGTH} characters long`);
  if (display === '') refuse('must not be empty');
  const refused = REFUSED.exec(display)?.[0];
  if (refused !== undefined) refuse(`must not contain ${describe(refused)}`);
  const slug = slugOf(display);
  if (!LETTER_OR_DIGIT.test(slug)) refuse('must contain at least one letter or digit');
  const key = caseless(display).replace(WHITE_SPACE, ' ').normalize('NFKC');
  return { display, key, slug, skeleton: skeletonOf(slug) };
}

/**
 * The unique identity of a name: NFKC, lower case, invisible characters (Default_Ignorable_Code_Point) left out,
 * letters, marks and digits kept, every other run of characters turned into one `_`. So "Acme Inc." is `acme_inc_`.
 *
 * Idempotent, the same in every locale, and the same for a name and its upper case, except where Unicode's own case
 * mapping is no round trip: ß becomes SS; dotless ı becomes I; Greek iota subscripts become letters; nine variants of Cyrillic letters found in
 * old books become the usual ones.
 *
 * @returns letters, marks, digits and `_` in NFKC; no mark without a letter or digit before it
 */
export function slugOf(display: string): string {
  return caseless(display.normalize('NFKC'))
    .replace(IGNORABLE, '')
    .replace(SEPARATOR, '_')
    .normalize('NFKC');
}

/**
 * What a slug looks like: equal for "acme" and "аcme" with a Cyrillic "а". After the skeleton of UTS #39, with two
 * changes that keep honest names apart: ASCII stands for itself ("acme1" and "acmel" differ; the standard's merges 1
 * and l, 0 and o, rn and m), and a Hangul syllable is not taken to pieces.
 *
 * Letters that resemble one ASCII letter as a small and another as a capital (ν: v and N; υ: u and Y) count as the
 * small one.
 *
 * @param slug - the output of {@link slugOf}
 */
export function skeletonOf(slug: string): string {
  const drawn = slug.replace(NEITHER_ASCII_NOR_HANGUL, (run) =>
    Array.from(run.normalize('NFD'), prototypeOf).join(''),
  );
  return drawn === slug ? slug : slugOf(drawn);
}

/** `undefined` when too long. NFKC can leave white space at the ends, hence the second trim. */
function displayOf(raw: string): string | undefined {
  const trimmed = raw.trim();
  if (trimmed.length > MAX_RAW_LENGTH) return undefined;
  const display = trimmed.normalize('NFKC').trim();
  return Array.from(display).length > MAX_LENGTH ? undefined : display;
}

function describe(character: string): string {
  const kind = REFUSED_KINDS.find(([pattern]) => pattern.test(character))?.[1] ?? 'such characters';
  const codePoint = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
  return `${kind} (U+${codePoint})`;
}
