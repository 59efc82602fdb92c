import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  type KeyAlgorithm,
  publicJwk,
  readSigningKeys,
  type SigningKeySet,
} from '../../src/keys/signing-keys.ts';

/** A key pair of a test, in all its forms. */
export interface TestKey {
  algorithm: KeyAlgorithm;
  kid: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
  privatePem: string;
  publicPem: string;
}

export function makeKey(algorithm: KeyAlgorithm): TestKey {
  const { privateKey, publicKey } =
    algorithm === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const privatePem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const publicPem = String(publicKey.export({ type: 'spki', format: 'pem' }));
  const [{ kid }] = keySet(privatePem);
  return { algorithm, kid, privateKey, publicKey, privatePem, publicPem };
}

/** The keys of PEM blocks, which have to be good. */
export function keySet(...pems: string[]): SigningKeySet {
  const reading = readSigningKeys(pems.join('\n'));
  if ('fault' in reading) throw new Error(reading.fault);
  return reading.keys;
}

export function jwkOf(key: TestKey) {
  return publicJwk(key);
}

/** One segment of a token: texts and bytes as they are, anything else as JSON. */
export function encode(value: unknown): string {
  const bytes = typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value);
  return Buffer.from(bytes as string).toString('base64url');
}

export function decodeSegment(token: string, index: 0 | 1): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString());
}

/** A token made by hand (RFC 7515), so that it may say and be signed whatever a test wants. */
export function forge(header: unknown, claims: unknown, signer: (input: Buffer) => Buffer): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signer(Buffer.from(input)).toString('base64url')}`;
}

export function hmac(secret: string | Buffer, digest = 'sha256') {
  return (input: Buffer) => createHmac(digest, secret).update(input).digest();
}

/** As JWS has it: for ECDSA the two numbers side by side (RFC 7518, 3.4). */
export function keySignature({ algorithm, privateKey }: TestKey) {
  return (input: Buffer) =>
    algorithm === 'EdDSA'
      ? sign(null, input, privateKey)
      : sign('sha256', input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
}
