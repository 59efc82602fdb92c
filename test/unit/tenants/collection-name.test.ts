import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collectionNameOf } from '../../../src/tenants/collection-name.ts';
import { parseOrganizationName } from '../../../src/tenants/organization-name.ts';
import { anyName } from './arbitrary-names.ts';

const MASTER = 'organization_master';
const anySlug = anyName.map((name) => parseOrganizationName(name).slug);
const anyDatabase = fc
  .string({ unit: fc.constantFrom(...'adz09_-é東𠮷'), minLength: 1, maxLength: 63 })
  .filter((name) => Buffer.byteLength(name) <= 63);

const namespaceBytes = (database: string, collection: string) =>
  Buffer.byteLength(`${database}.${collection}`);

describe('the collection of an organization', () => {
  test.each([
    ['acme', 'org_acme'],
    ['acme_inc_', 'org_acme_inc_'],
    ['株式会社', 'org_株式会社'],
    ['a'.repeat(100), `org_${'a'.repeat(100)}`],
    ['0123456789abcdef', 'org_0123456789abcdef'],
    ['acme_20240101', 'org_acme_20240101'],
  ])('of %j is %j', (slug, collection) => {
    expect(collectionNameOf(slug, MASTER)).toBe(collection);
  });

  test('takes 255 bytes whole and cuts what takes 256', () => {
    const room = 255 - namespaceBytes(MASTER, 'org_');
    const fits = `${'é'.repeat((room - 1) / 2)}x`;
    expect(namespaceBytes(MASTER, collectionNameOf(fits, MASTER))).toBe(255);
    expect(collectionNameOf(fits, MASTER)).toBe(`org_${fits}`);
    expect(collectionNameOf(`${fits}x`, MASTER)).toMatch(/^org_é+_[0-9a-f]{16}$/);
  });

  test('uses all of the 255 bytes when cut', () => {
    expect(namespaceBytes(MASTER, collectionNameOf('a'.repeat(300), MASTER))).toBe(255);
  });

  test('has, when cut, as many characters as fit and a hash of the whole slug', () => {
    const slug = '株'.repeat(100);
    // 255 bytes − "organization_master." − "org_" − "_" − 16 = 214, and 71 × 3 = 213.
    expect(collectionNameOf(slug, MASTER)).toBe(`org_${'株'.repeat(71)}_774bd0cf69472da7`);
  });

  test('is cut between graphemes, so that no mark loses its letter', () => {
    const syllable = 'हि';
    const name = collectionNameOf(syllable.repeat(50), MASTER);
    expect(name).toMatch(/^org_(?:हि)+_[0-9a-f]{16}$/);
  });

  test('is cut inside a grapheme that is longer than the whole name may be', () => {
    const slug = `a${'\u0301'.repeat(200)}`;
    const name = collectionNameOf(slug, MASTER);
    expect(name).toMatch(/^org_a\u0301+_[0-9a-f]{16}$/);
    expect(namespaceBytes(MASTER, name)).toBe(254);
  });

  test('differs from that of a slug that spells out the cut name', () => {
    const long = '株'.repeat(100);
    const impostor = collectionNameOf(long, MASTER).slice('org_'.length);
    expect(collectionNameOf(impostor, MASTER)).not.toBe(collectionNameOf(long, MASTER));
    const again = collectionNameOf(impostor, MASTER).slice('org_'.length);
    expect(collectionNameOf(again, MASTER)).not.toBe(collectionNameOf(impostor, MASTER));
  });

  test('differs for different slugs with a long beginning in common', () => {
    const names = Array.from({ length: 1000 }, (_, at) =>
      collectionNameOf('株'.repeat(90) + at, MASTER),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test('is a legal namespace for any name in any database', () => {
    fc.assert(
      fc.property(anySlug, anyDatabase, (slug, database) => {
        const name = collectionNameOf(slug, database);
        expect(namespaceBytes(database, name)).toBeLessThanOrEqual(255);
        expect(name).toMatch(/^org_[\p{L}\p{M}\p{N}_]+$/u);
        expect(name.isWellFormed()).toBe(true);
      }),
    );
  });

  test('differs for different slugs, cut or not', () => {
    fc.assert(
      fc.property(anySlug, anySlug, anyDatabase, (slug, other, database) => {
        const extended = slug + other;
        const names = new Set([slug, other, extended].map((it) => collectionNameOf(it, database)));
        expect(names.size).toBe(new Set([slug, other, extended]).size);
      }),
    );
  });
});
