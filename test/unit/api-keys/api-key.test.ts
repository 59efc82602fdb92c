import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { isApiKey, makeApiKey, readApiKey, sameHash } from '../../../src/api-keys/api-key.ts';

/** What the documentation gives to scanners. */
const FOR_SCANNERS = /\btnt_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}\b/g;
const DIGITS = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'];

/** Puts the right checksum behind a text, in another way than the service does. */
function checked(unchecked: string): string {
  let rest = BigInt(crc32(unchecked));
  const digits: string[] = [];
  for (let place = 0; place < 6; place += 1, rest /= 62n)
    digits.unshift(String(DIGITS[Number(rest % 62n)]));
  return unchecked + digits.join('');
}

describe('a new key', () => {
  test('is found by scanners, whole, and can be read again', () => {
    for (let n = 0; n < 200; n += 1) {
      const { text, prefix, hash } = makeApiKey();
      expect(`key="${text}", ${text}.`.match(FOR_SCANNERS)).toEqual([text, text]);
      expect(isApiKey(text)).toBe(true);
      expect(readApiKey(text)).toEqual({ prefix, hash });
      expect(text.startsWith(`${prefix}_`)).toBe(true);
      expect(hash).toBe(createHash('sha256').update(text).digest('hex'));
      expect(text).toBe(checked(text.slice(0, -6)));
    }
  });

  test('is another one every time, of all characters in every place', () => {
    const keys = Array.from({ length: 2_000 }, () => makeApiKey());
    expect(new Set(keys.map(({ prefix }) => prefix)).size).toBe(keys.length);
    expect(new Set(keys.map(({ text }) => text.slice(17, 49))).size).toBe(keys.length);
    // 2,000 draws leave one of 62 out with a chance of 1 in 10¹².
    for (const place of [4, 15, 17, 48])
      expect(new Set(keys.map(({ text }) => text[place])).size).toBe(62);
  });
});

describe('what is no key', () => {
  const { text } = makeApiKey();

  test.each([
    ['', false],
    ['tnt_', true],
    ['TNT_abc', false],
    [`x${text}`, false],
    [text.slice(0, -1), true],
    [`${text}0`, true],
    [`${text}\n`, true],
    [` ${text}`, false],
    [text.toLowerCase(), true],
    [text.replace('_', '-'), false],
    [text.replace(/_([^_]*)$/, '-$1'), true],
    [checked('tnt_12345678901_12345678901234567890123456789012'), true],
    [checked('tnt_123456789012_1234567890123456789012345678901'), true],
    [checked('tnt_12345678901é_12345678901234567890123456789012'), true],
  ])('%j', (other, meant) => {
    expect(isApiKey(other)).toBe(meant);
    expect(readApiKey(other)).toBeUndefined();
  });

  test('a key with any one character changed', () => {
    for (let at = 4; at < text.length; at += 1) {
      if (text[at] === '_') continue;
      const changed = text.slice(0, at) + (text[at] === 'x' ? 'y' : 'x') + text.slice(at + 1);
      expect(readApiKey(changed), changed).toBeUndefined();
    }
  });

  test('a key with two characters swapped', () => {
    for (let at = 4; at < text.length - 1; at += 1) {
      const [a, b] = [text.charAt(at), text.charAt(at + 1)];
      if (a === b) continue;
      const swapped = text.slice(0, at) + b + a + text.slice(at + 2);
      expect(readApiKey(swapped), swapped).toBeUndefined();
    }
  });
});

test('a checksum of small value has all its places', () => {
  // The CRC-32 of this text is below 62⁵.
  const text = checked('tnt_AAAAAAAAAAAD_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA');
  expect(text).toMatch(/^.{49}0.{5}$/);
  expect(readApiKey(text)?.prefix).toBe('tnt_AAAAAAAAAAAD');
});

test('hashes are the same or not, of whatever length', () => {
  const [one, other] = [makeApiKey().hash, makeApiKey().hash];
  expect(sameHash(one, one)).toBe(true);
  expect(sameHash(one, other)).toBe(false);
  expect(sameHash(one, '')).toBe(false);
  expect(sameHash(one, one.slice(2))).toBe(false);
});
