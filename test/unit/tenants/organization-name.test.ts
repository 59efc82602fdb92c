import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvalidFieldError } from '../../../src/errors.ts';
import {
  parseOrganizationName,
  skeletonOf,
  slugOf,
} from '../../../src/tenants/organization-name.ts';
import { anyName, anyString, EVERY_CODE_POINT } from './arbitrary-names.ts';

function refusal(raw: string, path?: string): InvalidFieldError {
  try {
    parseOrganizationName(raw, path);
  } catch (error) {
    if (error instanceof InvalidFieldError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(raw)} was accepted`);
}

describe('the slug of a name', () => {
  test.each([
    ['Acme', 'acme'],
    ['Acme Inc.', 'acme_inc_'],
    ['  Acme   Inc  ', 'acme_inc'],
    ['acme_inc', 'acme_inc'],
    ['$acme.users', '_acme_users'],
    ['A & B -- C', 'a_b_c'],
    ['Müller GmbH', 'müller_gmbh'],
    ['Mu\u0308ller GmbH', 'müller_gmbh'],
    ['Straße', 'straße'],
    ["L'Oréal", 'l_oréal'],
    ['L’Oréal', 'l_oréal'],
    ['L´Oréal', 'l_oréal'],
    ['İstanbul', 'i\u0307stanbul'],
    ['株式会社', '株式会社'],
    ['㈱日立', '_株_日立'],
    ['ＡＣＭＥ', 'acme'],
    ['ｶﾀｶﾅ', 'カタカナ'],
    ['ООО Ромашка', 'ооо_ромашка'],
    ['شركة', 'شركة'],
    ['می\u200cخواهم', 'میخواهم'],
    ['Ελλάς', 'ελλάσ'],
    ['ΕΛΛΆΣ', 'ελλάσ'],
    ['हिन्दी', 'हिन्दी'],
    ['한국', '한국'],
    ['👩‍🚀 Rocket 7', '_rocket_7'],
    ['❤️ Care', '_care'],
    ['No. ½', 'no_1_2'],
    ['Nº ①', 'no_1'],
    ['soft\u00adhyphen', 'softhyphen'],
    ['\u0301acme', '_acme'],
    ['١٢٣', '١٢٣'],
  ])('%j is %j', (name, slug) => {
    expect(parseOrganizationName(name).slug).toBe(slug);
  });

  test('is the same for a name in lower, upper and mixed case', () => {
    for (const spelling of ['σας', 'ΣΑΣ', 'σασ', 'Σας']) expect(slugOf(spelling)).toBe('σασ');
    for (const spelling of ['ÅNGSTRÖM', 'Ångström', 'A\u030angstro\u0308m']) {
      expect(slugOf(spelling)).toBe('ångström');
    }
  });

  test('is the same for a character and its upper case, but for the documented ones', () => {
    const different = EVERY_CODE_POINT.filter((it) => slugOf(it.toUpperCase()) !== slugOf(it));
    const undocumented = different.filter(
      // ß; dotless ı; what NFD shows to hold a Greek iota subscript; variants of Cyrillic letters in old books.
      (it) => !/^[ßı\u1c80-\u1c88]$|\u0345/u.test(it.normalize('NFD')),
    );
    expect(undocumented).toEqual([]);
    expect(different).toEqual(expect.arrayContaining(['ß', 'ı', 'ᾳ']));
  });

  test('is its own slug, in NFKC, for every character', () => {
    const unstable = EVERY_CODE_POINT.filter((it) => {
      const slug = slugOf(`a${it}b`);
      return slugOf(slug) !== slug || slug.normalize('NFKC') !== slug;
    });
    expect(unstable).toEqual([]);
  });

  test('is its own slug, and made of letters, marks, digits and single underscores, for any string', () => {
    fc.assert(
      fc.property(fc.oneof(anyString, anyName), (raw) => {
        const slug = slugOf(raw);
        expect(slugOf(slug)).toBe(slug);
        expect(slug).toMatch(/^[\p{L}\p{M}\p{N}_]*$/u);
        expect(slug).not.toMatch(/__|(?:^|_)\p{M}/u);
      }),
    );
  });
});

describe('a parsed name', () => {
  test('shows what was written, trimmed and in NFKC', () => {
    expect(parseOrganizationName(' \t Mu\u0308ller  GmbH\u3000')).toEqual({
      display: 'Müller  GmbH',
      key: 'müller gmbh',
      slug: 'müller_gmbh',
      skeleton: 'müller_gmbh',
    });
  });

  test('keeps joiners and variation selectors for the eye', () => {
    expect(parseOrganizationName('👩‍🚀 می\u200cخواهم ❤️').display).toBe('👩‍🚀 می\u200cخواهم ❤️');
  });

  test('has a key that tells punctuation apart, but neither case nor spacing', () => {
    const key = (name: string) => parseOrganizationName(name).key;
    expect(key('ACME \u1680 Inc')).toBe(key('acme inc'));
    expect(key('ΣΑΣ')).toBe(key('σας'));
    expect(key('acme-inc')).not.toBe(key('acme inc'));
  });

  test('counts code points, after normalization', () => {
    expect(parseOrganizationName('𠮷'.repeat(100)).display).toHaveLength(200);
    expect(parseOrganizationName('ᾂ'.normalize('NFD').repeat(100)).display).toHaveLength(100);
    expect(parseOrganizationName('𑂚'.normalize('NFD').repeat(100)).display).toHaveLength(200);
    expect(parseOrganizationName(`${' '.repeat(1000)}x`).display).toBe('x');
  });

  test('is well-formed NFKC, within the limits, and reads as itself when read again', () => {
    fc.assert(
      fc.property(anyName, (raw) => {
        const name = parseOrganizationName(raw);
        for (const text of Object.values(name)) {
          expect(text.isWellFormed()).toBe(true);
          expect(text.normalize('NFKC')).toBe(text);
        }
        expect(Array.from(name.display).length).toBeLessThanOrEqual(100);
        expect(name.slug).toMatch(/[\p{L}\p{N}]/u);
        expect(parseOrganizationName(name.display)).toEqual(name);
      }),
    );
  });

  test('has the slug and the skeleton of its key', () => {
    fc.assert(
      fc.property(anyName, (raw) => {
        const { key, slug, skeleton } = parseOrganizationName(raw);
        expect(slugOf(key)).toBe(slug);
        expect(skeletonOf(slugOf(key))).toBe(skeleton);
      }),
    );
  });
});

describe('a refused name', () => {
  test.each([
    ['', 'must not be empty'],
    [' \t\n\u3000\ufeff', 'must not be empty'],
    ['x'.repeat(101), 'must be at most 100 characters long'],
    ['x'.repeat(3_000_000), 'must be at most 100 characters long'],
    ['ﷺ'.repeat(9), 'must be at most 100 characters long'],
    ['a\u0000b', 'must not contain control characters (U+0000)'],
    ['a\nb', 'must not contain control characters (U+000A)'],
    ['a\u0085', 'must not contain control characters (U+0085)'],
    ['a\ud800', 'must be well-formed Unicode, without lone surrogates'],
    ['\udc00a', 'must be well-formed Unicode, without lone surrogates'],
    ['a\u202eb', 'must not contain characters that change the direction of text (U+202E)'],
    ['a\u2066b', 'must not contain characters that change the direction of text (U+2066)'],
    ['a\u200fb', 'must not contain characters that change the direction of text (U+200F)'],
    ['a\u2028b', 'must not contain line or paragraph separators (U+2028)'],
    ['a\u2029b', 'must not contain line or paragraph separators (U+2029)'],
    ['a\ue000', 'must not contain private-use characters (U+E000)'],
    ['a\u{10fffd}', 'must not contain private-use characters (U+10FFFD)'],
    ['a\u0378', 'must not contain characters that Unicode has not assigned (U+0378)'],
    ['a\uffff', 'must not contain characters that Unicode has not assigned (U+FFFF)'],
    ['👩‍🚀', 'must contain at least one letter or digit'],
    ['___', 'must contain at least one letter or digit'],
    ['\u0301\u0302', 'must contain at least one letter or digit'],
    ['\u3164', 'must contain at least one letter or digit'],
    ['$.', 'must contain at least one letter or digit'],
  ])('%j', (raw, message) => {
    expect(refusal(raw).errors).toEqual([{ path: '/organization_name', message }]);
  });

  test('is reported under the path that the caller gives', () => {
    const { errors, message } = refusal('', '/new_organization_name');
    expect(errors?.[0]?.path).toBe('/new_organization_name');
    expect(message).toBe('new_organization_name: must not be empty');
  });

  test('is the only thing that goes wrong, whatever the string', () => {
    fc.assert(
      fc.property(anyString, (raw) => {
        try {
          parseOrganizationName(raw);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidFieldError);
        }
      }),
    );
  });
});
