import fc from 'fast-check';
import { ObjectId } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { ServiceKeys } from '../../../src/keys/service-keys.ts';
import { parseMfaCode, parseTotpCode } from '../../../src/mfa/mfa-code.ts';
import {
  parseRecoveryCode,
  RECOVERY_ALPHABET,
  RecoveryCodes,
} from '../../../src/mfa/recovery-codes.ts';

const SECRET = 'a secret of the tests, long enough to sign with';
const OTHER_SECRET = 'the secret of quite another installation';
const codes = new RecoveryCodes({ keys: new ServiceKeys({ current: SECRET }) });
const ada = new ObjectId('66f1c0ffee0ddba11ca75a1e');
const bob = new ObjectId('66f1c0ffee0ddba11ca75a1f');

const SHAPE = /^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/;

/** The characters of a code, without its dashes. */
const plainCode = fc
  .array(fc.constantFrom(...RECOVERY_ALPHABET), { minLength: 24, maxLength: 24 })
  .map((letters) => letters.join(''));

/** Ways to write one and the same character of a code. */
function spellings(letter: string): string[] {
  const alike: Record<string, string[]> = { 0: ['O', 'o'], 1: ['I', 'i', 'L', 'l'] };
  return [letter, letter.toLowerCase(), ...(alike[letter] ?? [])];
}

test('ten codes of 120 bits in groups of four, each another', () => {
  const made = Array.from({ length: 50 }, () => codes.generate());
  for (const ten of made) {
    expect(ten).toHaveLength(10);
    for (const code of ten) expect(code).toMatch(SHAPE);
  }
  expect(new Set(made.flat()).size).toBe(500);
});

test('every character of the alphabet occurs at every place', () => {
  const made = Array.from({ length: 100 }, () => codes.generate()).flat();
  for (let at = 0; at < 24; at += 1)
    expect(new Set(made.map((code) => code.replaceAll('-', '')[at])).size).toBe(32);
});

test('the alphabet has no two characters that look alike', () => {
  expect(RECOVERY_ALPHABET).toHaveLength(32);
  expect(RECOVERY_ALPHABET).not.toMatch(/[ILOU]/);
});

describe('a code as people write it', () => {
  const separators = fc.constantFrom('', ' ', '-', ' - ', '\t', '–', '—', '\u00a0', '\u2010');

  test('is the same code in any case, with any separators, and with letters for the digits they look like', () => {
    const written = plainCode.chain((plain) =>
      fc
        .tuple(
          ...[...plain].map((letter) =>
            fc
              .tuple(separators, fc.constantFrom(...spellings(letter)))
              .map((pair) => pair.join('')),
          ),
        )
        .map((parts) => ({ plain, text: `${parts.join('')} ` })),
    );
    fc.assert(
      fc.property(written, ({ plain, text }) => {
        expect(parseRecoveryCode(text)).toBe(plain);
        expect(parseMfaCode(text)).toEqual({ kind: 'recovery', code: plain });
        expect(codes.hash(text, ada)).toBe(codes.hash(plain, ada));
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  test('is none when a character is missing, added, or of another alphabet', () => {
    const place = fc.nat(23);
    const foreign = fc.constantFrom('U', 'u', '!', '.', '_', 'é', 'А', '٣', '🔑', '\0', '\u200b');
    fc.assert(
      fc.property(plainCode, place, foreign, (plain, at, other) => {
        expect(parseRecoveryCode(plain.slice(0, at) + plain.slice(at + 1))).toBeUndefined();
        expect(parseRecoveryCode(`${plain.slice(0, at)}7${plain.slice(at)}`)).toBeUndefined();
        const changed = plain.slice(0, at) + other + plain.slice(at + 1);
        expect(parseRecoveryCode(changed)).toBeUndefined();
        expect(() => codes.hash(changed, ada)).toThrow('not a recovery code');
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  test('any other text is no code, and breaks nothing', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ maxLength: 30 }));
    fc.assert(
      fc.property(text, (given) => {
        const parsed = parseMfaCode(given);
        if (parsed !== undefined) expect(parsed.code).toMatch(/^(\d{6}|[0-9A-Z]{24})$/);
      }),
      { seed: 4, numRuns: 1_000 },
    );
  });
});

test.each([
  ['123456', '123456'],
  ['123 456', '123456'],
  [' 123-456 ', '123456'],
  ['１２３４５６', '123456'],
  ['000000', '000000'],
  ['12345', undefined],
  ['1234567', undefined],
  ['12345a', undefined],
  ['١٢٣٤٥٦', undefined],
  ['+12345', undefined],
  ['1e5000', undefined],
  ['', undefined],
])('%j as the six digits of an app is %j', (text, code) => {
  expect(parseTotpCode(text)).toBe(code);
  expect(parseMfaCode(text)).toEqual(code && { kind: 'totp', code });
});

describe('what is stored', () => {
  const [code = ''] = codes.generate();

  test('differs between accounts, codes and installations, and does not hold the code', () => {
    const other = new RecoveryCodes({ keys: new ServiceKeys({ current: OTHER_SECRET }) });
    const [another = ''] = codes.generate();
    const hashes = [
      codes.hash(code, ada),
      codes.hash(code, bob),
      codes.hash(another, ada),
      other.hash(code, ada),
    ];
    expect(new Set(hashes).size).toBe(4);
    for (const hash of hashes) expect(hash).toMatch(/^[\w-]{43}$/);
  });

  test('is found again under a secret that replaced another', () => {
    const stored = codes.hash(code, ada);
    const rotated = new RecoveryCodes({
      keys: new ServiceKeys({ current: OTHER_SECRET, previous: [SECRET] }),
    });
    expect(rotated.hash(code, ada)).not.toBe(stored);
    expect(rotated.possibleHashes(code, ada)).toEqual([rotated.hash(code, ada), stored]);
    expect(rotated.possibleHashes(code, bob)).not.toContain(stored);
  });
});
