import fc from 'fast-check';
import { ObjectId } from 'mongodb';
import { expect, test } from 'vitest';
import { FeedPositions } from '../../../src/change-feed/feed-positions.ts';
import { ServiceKeys } from '../../../src/keys/service-keys.ts';

const positions = new FeedPositions({ keys: new ServiceKeys({ current: 'a secret' }) });
const acme = new ObjectId();
const TOKEN = '826B05CCF5000000022B0229296E04';

test('a position opens as what it was made of, for the same organization only', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
      const token = Buffer.from(bytes).toString('hex').toUpperCase();
      const position = String(positions.seal(acme, token));
      expect(position).toMatch(/^[\w-]+$/);
      expect(positions.open(acme, position)).toBe(token);
      expect(positions.open(new ObjectId(), position)).toBeUndefined();
    }),
  );
});

test('what nobody made is none', () => {
  const position = String(positions.seal(acme, TOKEN));
  fc.assert(
    fc.property(fc.string(), fc.nat(position.length - 2), (text, at) => {
      expect(positions.open(acme, text)).toBeUndefined();
      const changed = position.charAt(at) === 'A' ? 'B' : 'A';
      const forged = position.slice(0, at) + changed + position.slice(at + 1);
      expect(positions.open(acme, forged)).toBeUndefined();
    }),
  );
  expect(positions.open(acme, TOKEN)).toBeUndefined();
});

test('one that is too long for a header is not given', () => {
  expect(positions.seal(acme, 'AB'.repeat(4_000))).toHaveLength(5_371);
  expect(positions.seal(acme, 'AB'.repeat(5_000))).toBeUndefined();
});

test('it outlives a new secret, if the old one is still known', () => {
  const position = String(positions.seal(acme, TOKEN));
  const known = new ServiceKeys({ current: 'another', previous: ['a secret'] });
  expect(new FeedPositions({ keys: known }).open(acme, position)).toBe(TOKEN);
  const unknown = new ServiceKeys({ current: 'another' });
  expect(new FeedPositions({ keys: unknown }).open(acme, position)).toBeUndefined();
});
