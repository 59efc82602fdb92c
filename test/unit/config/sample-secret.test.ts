import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { isSampleSecret } from '../../../src/config/sample-secret.ts';

test.each([
  'replace-this-with-the-output-of-openssl-rand-base64-48',
  'changemechangemechangemechangeme',
  'CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME',
  'secretsecretsecretsecretsecretsecret',
  'your-secret-key-your-secret-key-your',
  'your-super-secret-jwt-key-change-in-production',
  'your_jwt_secret_key_here_min_32_chars',
  'YourSuperSecretKeyThatShouldBeLongEnough1234',
  'a-string-secret-at-least-256-bits-long',
  'your-256-bit-secret your-256-bit-secret',
  'please-change-this-secret-key-in-production!',
  'insecure-development-secret-do-not-use-in-production',
  '<generate with openssl rand -base64 48>',
  'GENERATE_A_STRONG_SECRET_KEY_AT_LEAST_32_CHARS',
  '0123456789abcdef0123456789abcdef',
  'abcdefghijklmnopqrstuvwxyz123456',
  '12345678901234567890123456789012',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  'x7Kq9!Zp4Wv2x7Kq9!Zp4Wv2x7Kq9!Zp4Wv2',
  'authentication-application-development-authentication',
  '1212121223232323343434344545454',
  '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
  'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
])('%s is a sample', (secret) => {
  expect(isSampleSecret(secret)).toBe(true);
});

test.each([
  'correct horse battery staple tractor',
  'jwt-secret-9f8a7c6b5d4e3f2a1b0c9d8e7f6a5b4c',
  'prod:Zk3vQx0Tz7Lr2Wm5Yb8Nc1Hd4Gf6Sp0',
])('%s is not', (secret) => {
  expect(isSampleSecret(secret)).toBe(false);
});

test.each(['hex', 'base64', 'base64url'] as const)('random bytes in %s are not', (encoding) => {
  const random = (seed: number, bytes: number) =>
    createHash('sha512').update(`${seed}`).digest().subarray(0, bytes).toString(encoding);
  const bytes = encoding === 'hex' ? 16 : 24;
  const refused = Array.from({ length: 20_000 }, (_, seed) => random(seed, bytes)).filter(
    isSampleSecret,
  );
  expect(refused).toEqual([]);
});
