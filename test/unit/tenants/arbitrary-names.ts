import fc from 'fast-check';
import { InvalidFieldError } from '../../../src/errors.ts';
import { parseOrganizationName } from '../../../src/tenants/organization-name.ts';

// One seed, so that a run of the tests can be repeated; many runs, since each takes microseconds.
fc.configureGlobal({ seed: 2039, numRuns: 2000 });

/** Every Unicode code point, lone surrogates included. */
export const EVERY_CODE_POINT: readonly string[] = Array.from(
  { length: 0x110000 },
  (_, codePoint) => String.fromCodePoint(codePoint),
);

/** What names are made of somewhere, and what breaks them: marks, joiners, ligatures, odd case mappings. */
const TRICKY =
  "aZßẞıİſςΣσΐᾳŉǰﬁ½㈱カｶﾞ゙한ᄀ각ी्हिש\u05bcשٱ\u0301\u0308\u0345\u034f\u20e3\u200c\u200d\ufe0f\u00ad\u3164👩🚀𠮷𐐀𑂚 ._-$/'´ʼ";

/** Any sequence of UTF-16 code units: NUL, lone surrogates and unassigned code points included. */
export const anyString = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...TRICKY) }),
);

/** Any string that is a legal name; long and multi-byte ones often. */
export const anyName = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
    fc.string({ unit: fc.constantFrom(...TRICKY), minLength: 1, maxLength: 100 }),
    fc.string({
      unit: fc.constantFrom(...'株式会社𠮷हिन्दीशركةяéa_0'),
      minLength: 40,
      maxLength: 100,
    }),
  )
  .filter(isLegal);

function isLegal(raw: string): boolean {
  try {
    parseOrganizationName(raw);
    return true;
  } catch (error) {
    if (error instanceof InvalidFieldError) return false;
    throw error;
  }
}
