import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { searchKeyOf, searchKeysOf } from '../../../src/registry/search-keys.ts';
import { parseOrganizationName, slugOf } from '../../../src/tenants/organization-name.ts';
import { anyName } from '../tenants/arbitrary-names.ts';

const keysOf = (name: string) => searchKeysOf(parseOrganizationName(name).slug);
const finds = (text: string, name: string) => keysOf(name).includes(searchKeyOf(text));

describe('a search', () => {
  test.each([
    ['acme', 'Acme GmbH'],
    ['ACM', 'acme'],
    ['a', 'Acme'],
    ['gm', 'Acme GmbH'],
    ['acme gm', 'Acme GmbH'],
    ['acme,  GM', 'Acme GmbH'],
    ['  acme ', 'Acme GmbH'],
    ['müll', 'Müller & Söhne'],
    ['söh', 'Müller & Söhne'],
    ['株', '株式会社'],
    ['42', 'Studio 42'],
    ['a\u200dcme', 'Acme'],
  ])('for %j finds %j', (text, name) => {
    expect(finds(text, name)).toBe(true);
  });

  test.each([
    ['cme', 'Acme GmbH'],
    ['acmes', 'Acme GmbH'],
    ['gmbh acme', 'Acme GmbH'],
    ['b', 'Acme GmbH'],
    ['.*', 'Acme GmbH'],
  ])('for %j does not find %j', (text, name) => {
    expect(finds(text, name)).toBe(false);
  });

  test('for any beginning of a name, cut where a letter ends, finds it', () => {
    fc.assert(
      fc.property(anyName, fc.nat(), (name, at) => {
        const { slug } = parseOrganizationName(name);
        const characters = Array.from(slug);
        const beginning = characters.slice(0, 1 + (at % characters.length)).join('');
        // What normalization does to a beginning by itself, it may not do to the whole.
        fc.pre(slugOf(beginning) === beginning);
        expect(searchKeysOf(slug)).toContain(searchKeyOf(beginning));
      }),
    );
  });

  test('never throws, whatever is searched for', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(Array.from(searchKeyOf(text)).length).toBeLessThanOrEqual(100);
      }),
    );
  });
});

test('an organization has some 200 keys at most, each once', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const keys = keysOf(name);
      expect(keys.length).toBeLessThanOrEqual(201);
      expect(new Set(keys).size).toBe(keys.length);
    }),
  );
  expect(keysOf('Acme Software GmbH').length).toBeLessThan(40);
});
