import { describe, expect, test } from 'vitest';
import { openBytes, sealBytes } from '../../../src/keys/sealed-bytes.ts';
import { ServiceKeys } from '../../../src/keys/service-keys.ts';

const OLD = new ServiceKeys({ current: 'the old secret' }).derive('a test');
const NEW = new ServiceKeys({ current: 'the new secret', previous: ['the old secret'] }).derive(
  'a test',
);
const ALONE = new ServiceKeys({ current: 'the new secret' }).derive('a test');
const OTHER_PURPOSE = new ServiceKeys({ current: 'the old secret' }).derive('another test');
const PLAIN = Buffer.from('{"key":"tnt_…"}');

describe('sealed bytes', () => {
  test('open again, under any of the keys', () => {
    const sealed = sealBytes(PLAIN, OLD, 'x');
    expect(openBytes(sealed, OLD, 'x')).toEqual(PLAIN);
    expect(openBytes(sealed, NEW, 'x')).toEqual(PLAIN);
    expect(openBytes(sealBytes(PLAIN, NEW, 'x'), ALONE, 'x')).toEqual(PLAIN);
    expect(openBytes(sealBytes(Buffer.alloc(0), OLD, ''), OLD, '')).toEqual(Buffer.alloc(0));
  });

  test('hold nothing of what they were, and are never the same', () => {
    const sealed = sealBytes(PLAIN, OLD, 'x');
    expect(sealed.includes('tnt_')).toBe(false);
    expect(sealBytes(PLAIN, OLD, 'x').equals(sealed)).toBe(false);
  });

  test('do not open under other keys, or for something else', () => {
    const sealed = sealBytes(PLAIN, OLD, 'x');
    for (const [keys, context] of [
      [ALONE, 'x'],
      [OTHER_PURPOSE, 'x'],
      [OLD, 'y'],
      [OLD, ''],
    ] as const)
      expect(openBytes(sealed, keys, context)).toBeUndefined();
  });

  test('do not open with any byte changed, or of any other length', () => {
    const sealed = sealBytes(PLAIN, OLD, 'x');
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(openBytes(changed, OLD, 'x')).toBeUndefined();
      expect(openBytes(sealed.subarray(0, at), OLD, 'x')).toBeUndefined();
    }
    expect(openBytes(Buffer.concat([sealed, Buffer.of(0)]), OLD, 'x')).toBeUndefined();
  });
});
