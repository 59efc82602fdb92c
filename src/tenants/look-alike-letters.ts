import lookUp from 'unhomoglyph';
import { caseless } from './caseless.ts';

/**
 * Small capitals, which the Unicode table takes for letters of their own: "ᴀᴄᴍᴇ" reads as "ACME". ʍ and ĸ are what
 * the table makes of ᴍ and ᴋ. And the Cyrillic palochka of "аррӏе", which the table takes for an i.
 */
const READ_AS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ᴀ: 'a',
    ʙ: 'b',
    ᴅ: 'd',
    ᴇ: 'e',
    ꜰ: 'f',
    ɢ: 'g',
    ʜ: 'h',
    ᴊ: 'j',
    ĸ: 'k',
    ʟ: 'l',
    ʍ: 'm',
    ɴ: 'n',
    ᴘ: 'p',
    ʀ: 'r',
    ᴛ: 't',
    ӏ: 'l',
  }),
);

/**
 * Everyday letters that the table merges with a sister of the same alphabet, but that its readers tell apart (Thai,
 * Tamil and Malayalam, in this order; "ดี" and "ตี" are two words). None of them passes for a Latin letter.
 */
const TOLD_APART: ReadonlySet<string> = new Set(
  '\u0e14\u0e15\u0e21\u0e0b\u0e0f\u0e17\u0b9c\u0bc8\u0d40\u0d42\u0d43\u0d19\u0d31',
);

/** Keeps the typical name under 10 µs. Bounded by what Unicode assigns: a few megabytes if every character came by. */
const derived = new Map<string, string>();

const ASCII = /^[\0-\x7f]+$/;
const ASCII_LETTER_OR_DIGIT = /^[A-Za-z0-9]$/;

/**
 * What a lower-case character looks like: its prototype in Unicode's table of confusables (UTS #39, data of Unicode
 * 13), lower-cased. ASCII characters stand for themselves, so "1" and "l" stay two. A character that resembles an
 * ASCII letter only as a capital ("м", as "М") counts as that letter, since names are compared without regard to case.
 *
 * @param character - one code point, decomposed (NFD) and lower-cased
 * @returns one or more code points
 */
export function prototypeOf(character: string): string {
  const known = derived.get(character);
  if (known !== undefined) return known;
  const prototype = derivePrototype(character);
  derived.set(character, prototype);
  return prototype;
}

function derivePrototype(character: string): string {
  if (ASCII.test(character) || TOLD_APART.has(character)) return character;
  const plain = READ_AS.get(character);
  if (plain !== undefined) return plain;
  const prototype = caseless(tableEntry(character)).normalize('NFD');
  if (ASCII.test(prototype)) return prototype;
  const likeCapital = prototypeOfCapital(character);
  if (likeCapital !== undefined) return likeCapital;
  return prototype === character ? character : Array.from(prototype, prototypeOf).join('');
}

function prototypeOfCapital(character: string): string | undefined {
  const capital = character.toUpperCase();
  if (capital === character) return undefined;
  const prototype = tableEntry(capital);
  if (!ASCII_LETTER_OR_DIGIT.test(prototype)) return undefined;
  // The table's prototype of "I" is "l".
  return prototype === 'l' ? 'i' : prototype.toLowerCase();
}

/** In the table "m" looks like "rn". ASCII is left alone here, so what looks like "m" is called "m". */
function tableEntry(character: string): string {
  return lookUp(character).replaceAll('rn', 'm');
}
