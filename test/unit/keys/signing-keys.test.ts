import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, test } from 'vitest';
import { publicJwk, readSigningKeys } from '../../../src/keys/signing-keys.ts';
import { jwkOf, keySet, makeKey } from '../../support/tokens.ts';

const es = makeKey('ES256');
const ed = makeKey('EdDSA');
const sec1 = String(es.privateKey.export({ type: 'sec1', format: 'pem' }));

function faultOf(text: string): string {
  const reading = readSigningKeys(text);
  return 'fault' in reading ? reading.fault : '';
}

function pem(type: string, options: object = {}, format: object = {}): string {
  // The overloads know each type by itself; here it is data.
  const generate = generateKeyPairSync as (type: string, options: object) => { privateKey: string };
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem', ...format };
  const publicKeyEncoding = { type: 'spki', format: 'pem' };
  return generate(type, { ...options, privateKeyEncoding, publicKeyEncoding }).privateKey;
}

describe('a key', () => {
  test.each([
    ['PKCS#8, P-256', es.privatePem, es],
    ['SEC1, P-256', sec1, es],
    ['PKCS#8, Ed25519', ed.privatePem, ed],
    ['one line, \\n for a line break', ed.privatePem.replaceAll('\n', '\\n'), ed],
    ['one line, spaces for line breaks', es.privatePem.replaceAll('\n', ' '), es],
    ['lines as on Windows', sec1.replaceAll('\n', '\r\n'), es],
    ['text around it', `Key of 2026\n${ed.privatePem}# ----- end -----`, ed],
    [
      'the curve before it, as openssl ecparam has it',
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${sec1}`,
      es,
    ],
  ])('may come in %s', (_, text, { algorithm, publicKey }) => {
    const [first, ...others] = keySet(text);
    expect(others).toEqual([]);
    expect(first).toMatchObject({ algorithm });
    expect(first.publicKey.equals(publicKey)).toBe(true);
  });

  test('is named by its thumbprint, as RFC 7638 makes it', async () => {
    for (const key of [es, ed]) expect(key.kid).toBe(await calculateJwkThumbprint(jwkOf(key)));
  });

  test('is published without its private half', () => {
    const coordinate = expect.stringMatching(/^[\w-]{43}$/);
    const both = { use: 'sig', kid: coordinate, x: coordinate };
    const ec = { ...both, kty: 'EC', crv: 'P-256', y: coordinate, alg: 'ES256' };
    expect(keySet(es.privatePem).map(publicJwk)).toEqual([ec]);
    expect(keySet(ed.privatePem).map(publicJwk)).toEqual([
      { ...both, kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA' },
    ]);
  });
});

describe('several keys', () => {
  test('keep their order, whatever their kind, and only the first can sign', () => {
    const third = makeKey('EdDSA');
    const keys = keySet(ed.privatePem, es.privatePem, third.publicPem);
    expect(keys.map(({ kid }) => kid)).toEqual([ed.kid, es.kid, third.kid]);
    expect(keys.map((key) => 'privateKey' in key)).toEqual([true, false, false]);
  });

  test('that are the same are one', () => {
    const keys = keySet(es.privatePem, ed.privatePem, sec1, ed.publicPem, es.publicPem);
    expect(keys.map(({ kid }) => kid)).toEqual([es.kid, ed.kid]);
  });

  test('begin with one that signs', () => {
    expect(faultOf(ed.publicPem)).toContain('block 1 is a public key, which cannot sign');
    expect(faultOf(ed.publicPem + es.privatePem)).toContain('block 1 is a public key');
    expect(faultOf(ed.publicPem + ed.privatePem)).toContain('block 1 is a public key');
  });

  test('are refused for one, which is named by its place', () => {
    expect(faultOf(ed.privatePem + pem('ec', { namedCurve: 'P-384' }))).toMatch(
      /; block 2 is on the curve secp384r1\./,
    );
  });
});

const encryption = { cipher: 'aes-256-cbc', passphrase: 'hunter2' };
const body = ed.privatePem.split('\n')[1] ?? '';

describe('what cannot be used says why, and what to do', () => {
  test.each([
    ['RSA', pem('rsa', { modulusLength: 2048 }), 'block 1 is an RSA key'],
    ['RSA in PKCS#1', pem('rsa', { modulusLength: 2048 }, { type: 'pkcs1' }), 'is an RSA key'],
    ['RSA-PSS', pem('rsa-pss', { modulusLength: 2048 }), 'is an RSA key'],
    ['P-384', pem('ec', { namedCurve: 'P-384' }), 'on the curve secp384r1'],
    ['P-521', pem('ec', { namedCurve: 'P-521' }), 'on the curve secp521r1'],
    ['secp256k1', pem('ec', { namedCurve: 'secp256k1' }, { type: 'sec1' }), 'secp256k1'],
    ['Ed448', pem('ed448'), 'a key for ed448'],
    ['X25519', pem('x25519'), 'a key for x25519'],
    ['encrypted PKCS#8', pem('ed25519', {}, encryption), 'takes the passphrase off'],
    [
      'encrypted SEC1',
      pem('ec', { namedCurve: 'P-256' }, { type: 'sec1', ...encryption }),
      'takes the passphrase off',
    ],
    ['cut off in the body', ed.privatePem.replace(body, body.slice(0, -9)), 'is not readable'],
    ['no base64', ed.privatePem.replace(body, `${body.slice(4)}*é*`), 'is not readable'],
    ['another kind than its label', es.privatePem.replaceAll('PRIVATE', 'PUBLIC'), 'not readable'],
    [
      'a certificate',
      ed.privatePem.replaceAll('PRIVATE KEY', 'CERTIFICATE'),
      'neither a private key in PKCS#8 or SEC1 nor a public key',
    ],
    ['OpenSSH', ed.privatePem.replaceAll('PRIVATE', 'OPENSSH PRIVATE'), 'neither a private key'],
    ['cut off at the end', ed.privatePem.slice(0, -20), 'is it cut off?'],
    ['a good key and a cut one', es.privatePem + ed.privatePem.slice(0, -20), 'is it cut off?'],
    ['cut off at the beginning', ed.privatePem.slice(5), 'is it cut off?'],
    ['a path', '/run/secrets/keys.pem', 'it holds none'],
    ['a JWK', JSON.stringify(ed.privateKey.export({ format: 'jwk' })), 'it holds none'],
    ['only the curve', '-----BEGIN EC PARAMETERS-----\nBg==\n-----END EC PARAMETERS-----', 'none'],
    ['nothing', '', 'it holds none'],
  ])('%s', (_, text, reason) => {
    const fault = faultOf(text);
    expect(fault).toMatch(/^must hold EC P-256 or Ed25519 keys as PEM blocks/);
    expect(fault).toContain(reason);
    for (const line of text.split(/\s+/).filter((one) => one.length > 30))
      expect(fault).not.toContain(line.slice(5, 25));
  });

  test('a private key with the public key of another', () => {
    const other = makeKey('ES256');
    const der = es.privateKey.export({ type: 'pkcs8', format: 'der' });
    const point = (key: typeof es) => {
      const spki = key.publicKey.export({ type: 'spki', format: 'der' });
      return spki.subarray(-64);
    };
    const at = der.indexOf(point(es));
    expect(at).toBeGreaterThan(0);
    const mixed = Buffer.from(der);
    mixed.set(point(other), at);
    const text = `-----BEGIN PRIVATE KEY-----\n${mixed.toString('base64')}\n-----END PRIVATE KEY-----`;
    expect(faultOf(text)).toMatch(/block 1 is (broken|not readable)/);
  });

  test('any text at all', () => {
    const label = fc.constantFrom('PRIVATE KEY', 'EC PRIVATE KEY', 'PUBLIC KEY', 'CERTIFICATE');
    const block = fc
      .tuple(label, fc.oneof(fc.base64String(), fc.string({ unit: 'binary' })))
      .map(([name, text]) => `-----BEGIN ${name}-----\n${text}\n-----END ${name}-----`);
    const texts = fc.array(fc.oneof(block, fc.string()), { maxLength: 4 });
    fc.assert(
      fc.property(texts, (parts) => {
        expect(faultOf(parts.join('\n'))).toMatch(/^must hold/);
      }),
      { seed: 2039, numRuns: 500 },
    );
  });
});
