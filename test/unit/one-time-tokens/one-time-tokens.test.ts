import { expect, test } from 'vitest';
import { randomTokens, tokenHash } from '../../../src/one-time-tokens/one-time-tokens.ts';

test('a token has 256 bits, in characters that need no escaping in a link', () => {
  const tokens = Array.from({ length: 1_000 }, () => randomTokens.token());
  expect(new Set(tokens).size).toBe(1_000);
  for (const token of tokens) {
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
  }
});

test('what is stored differs by token and by purpose, and is not the token', () => {
  const hashes = (['invitation', 'password reset', 'e-mail change'] as const).flatMap((purpose) =>
    ['a', 'b'].map((token) => tokenHash(purpose, token)),
  );
  expect(new Set(hashes).size).toBe(6);
  for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
});
