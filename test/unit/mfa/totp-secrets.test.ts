import fc from 'fast-check';
import { Binary, ObjectId } from 'mongodb';
import { expect, test } from 'vitest';
import { ServiceKeys } from '../../../src/keys/service-keys.ts';
import { TotpSecrets } from '../../../src/mfa/totp-secrets.ts';

const SECRET = 'a secret of the tests, long enough to sign with';
const OTHER_SECRET = 'the secret of quite another installation';
const secrets = new TotpSecrets({ keys: new ServiceKeys({ current: SECRET }) });
const ada = new ObjectId('66f1c0ffee0ddba11ca75a1e');
const bob = new ObjectId('66f1c0ffee0ddba11ca75a1f');

test('a secret has 160 bits, and is another one each time', () => {
  const made = Array.from({ length: 100 }, () => secrets.generate());
  for (const secret of made) expect(secret).toHaveLength(20);
  expect(new Set(made.map((secret) => secret.toString('hex'))).size).toBe(100);
});

test('comes back, and is not to be seen in what is stored', () => {
  const secret = secrets.generate();
  const sealed = secrets.seal(secret, ada);
  expect(secrets.open(sealed, ada)).toEqual({ secret, outdated: false });
  expect(Buffer.from(sealed.value()).includes(secret.subarray(0, 4))).toBe(false);
});

test('sealed twice looks different each time', () => {
  const secret = secrets.generate();
  const [one, other] = [secrets.seal(secret, ada), secrets.seal(secret, ada)];
  expect(one.toString('hex')).not.toBe(other.toString('hex'));
});

test('moved to another account opens nothing', () => {
  expect(secrets.open(secrets.seal(secrets.generate(), ada), bob)).toBeUndefined();
});

test('changed in any byte opens nothing', () => {
  const sealed = Buffer.from(secrets.seal(secrets.generate(), ada).value());
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    expect(secrets.open(new Binary(changed), ada)).toBeUndefined();
  }
});

test('any other bytes open nothing, and break nothing', () => {
  const bytes = fc.oneof(fc.uint8Array(), fc.uint8Array({ minLength: 48, maxLength: 48 }));
  fc.assert(
    fc.property(bytes, (given) => {
      expect(secrets.open(new Binary(given), ada)).toBeUndefined();
    }),
    { seed: 4, numRuns: 500 },
  );
});

test('opens as long as the secret it was sealed under is kept, and says when that is not the present one', () => {
  const secret = secrets.generate();
  const sealed = secrets.seal(secret, ada);
  const rotated = new TotpSecrets({
    keys: new ServiceKeys({ current: OTHER_SECRET, previous: [SECRET] }),
  });
  expect(rotated.open(sealed, ada)).toEqual({ secret, outdated: true });
  const renewed = rotated.seal(secret, ada);
  expect(rotated.open(renewed, ada)).toEqual({ secret, outdated: false });
  expect(secrets.open(renewed, ada)).toBeUndefined();
  const dropped = new TotpSecrets({ keys: new ServiceKeys({ current: OTHER_SECRET }) });
  expect(dropped.open(sealed, ada)).toBeUndefined();
  expect(dropped.open(renewed, ada)).toEqual({ secret, outdated: false });
});
