import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';

/** What a key signs with (RFC 7518, 3.4 and RFC 8037, 3.1): the kind of key decides, never a token. */
export type KeyAlgorithm = 'ES256' | 'EdDSA';

/** A public key as anyone may have it (RFC 7517). */
export interface PublicJwk {
  kty: string;
  crv: string;
  x: string;
  y?: string;
  use: 'sig';
  alg: KeyAlgorithm;
  kid: string;
}

/** A key that verifies tokens. */
export interface VerificationKey {
  /** The thumbprint of the public key (RFC 7638), so that every instance gives a key the same name. */
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  readonly publicKey: KeyObject;
}

/** A key that signs tokens as well. */
export interface SigningKey extends VerificationKey {
  readonly privateKey: KeyObject;
}

/** The first key signs, all of them verify; no two are the same. */
export type SigningKeySet = readonly [SigningKey, ...VerificationKey[]];

/** The keys of a text, or why it cannot be used: the end of a sentence that begins with a setting's name. */
export type SigningKeysReading = { readonly keys: SigningKeySet } | { readonly fault: string };

/** What is wrong with one key. Says nothing of what is in it. */
class UnusableKey extends Error {}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END \1-----/gs;
const PEM_MARK = /-----(?:BEGIN|END) /;
/** What `openssl ecparam -genkey` writes before the key; the key says its curve itself. */
const EC_PARAMETERS = 'EC PARAMETERS';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const RULE = 'must hold EC P-256 or Ed25519 keys as PEM blocks, the one that signs first';
const ADVICE = '"openssl genpkey -algorithm ed25519" makes a good one';
const PLAIN = 'encrypted; "openssl pkey -in <file>" takes the passphrase off';

/**
 * Reads PEM blocks (RFC 7468): private keys in PKCS#8 or SEC1, and public keys, which only verify. `\n` may stand for a
 * line break, as in an environment that holds single lines only; text around the blocks is ignored. A key that is there
 * twice counts once.
 *
 * @returns the keys, each found to fit together by a trial signature, or a fault that holds nothing of the text
 */
export function readSigningKeys(text: string): SigningKeysReading {
  const plain = text.replaceAll('\\n', '\n');
  const blocks = [...plain.matchAll(PEM_BLOCK)].filter(([, label]) => label !== EC_PARAMETERS);
  if (PEM_MARK.test(plain.replaceAll(PEM_BLOCK, '')))
    return { fault: `${RULE}; a block has no beginning or no end: is it cut off?` };
  const keys = new Map<string, SigningKey | VerificationKey>();
  for (const [index, [, label = '', body = '']] of blocks.entries()) {
    try {
      const key = keyOf(label, body);
      if (!keys.has(key.kid)) keys.set(key.kid, key);
    } catch (error) {
      if (!(error instanceof UnusableKey)) throw error;
      return { fault: `${RULE}; block ${index + 1} is ${error.message}. ${ADVICE}` };
    }
  }
  const [first, ...others] = keys.values();
  if (first === undefined) return { fault: `${RULE}; it holds none. ${ADVICE}` };
  if (!('privateKey' in first))
    return { fault: `${RULE}; block 1 is a public key, which cannot sign` };
  return { keys: [first, ...others.map(publicHalf)] };
}

/** A key set as products fetch it to verify tokens by themselves. */
export function publicJwk({ kid, algorithm, publicKey }: VerificationKey): PublicJwk {
  return { ...parametersOf(publicKey), use: 'sig', alg: algorithm, kid };
}

/** A private key that does not sign any more, or not yet, is not kept. */
function publicHalf({ kid, algorithm, publicKey }: VerificationKey): VerificationKey {
  return { kid, algorithm, publicKey };
}

function keyOf(label: string, body: string): SigningKey | VerificationKey {
  const given = decode(label, body);
  const algorithm = algorithmOf(given);
  const publicKey = given.type === 'private' ? createPublicKey(given) : given;
  const key = { kid: thumbprint(publicKey), algorithm, publicKey };
  if (given.type !== 'private') return key;
  if (!fits(given, key)) throw new UnusableKey('broken: its private and public half do not fit');
  return { ...key, privateKey: given };
}

function decode(label: string, body: string): KeyObject {
  if (label.includes('ENCRYPTED') || body.includes('ENCRYPTED')) throw new UnusableKey(PLAIN);
  if (label.startsWith('RSA ')) throw new UnusableKey('an RSA key');
  const base64 = body.replace(/\s+/g, '');
  if (!BASE64.test(base64)) throw new UnusableKey('not readable');
  const der = { key: Buffer.from(base64, 'base64'), format: 'der' } as const;
  try {
    if (label === 'PRIVATE KEY') return createPrivateKey({ ...der, type: 'pkcs8' });
    if (label === 'EC PRIVATE KEY') return createPrivateKey({ ...der, type: 'sec1' });
    if (label === 'PUBLIC KEY') return createPublicKey({ ...der, type: 'spki' });
  } catch {
    // OpenSSL's own words are of no help to anyone, and could say more than they should.
    throw new UnusableKey('not readable');
  }
  throw new UnusableKey('neither a private key in PKCS#8 or SEC1 nor a public key');
}

function algorithmOf(key: KeyObject): KeyAlgorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return 'EdDSA';
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
  if (type === 'ec') throw new UnusableKey(`on the curve ${details?.namedCurve ?? 'of its own'}`);
  throw new UnusableKey(type?.startsWith('rsa') ? 'an RSA key' : `a key for ${type}`);
}

function fits(privateKey: KeyObject, { algorithm, publicKey }: VerificationKey): boolean {
  const digest = algorithm === 'ES256' ? 'sha256' : null;
  const trial = Buffer.from('trial');
  return verify(digest, trial, publicKey, sign(digest, trial, privateKey));
}

function parametersOf(key: KeyObject): Pick<PublicJwk, 'kty' | 'crv' | 'x' | 'y'> {
  const { kty, crv, x, y } = key.export({ format: 'jwk' });
  if (kty === undefined || crv === undefined || x === undefined)
    throw new Error('an elliptic key has kty, crv and x');
  return { kty, crv, x, ...(y !== undefined && { y }) };
}

/** RFC 7638, 3.2: the required members in the order of their names, without white space. */
function thumbprint(key: KeyObject): string {
  const { crv, kty, x, y } = parametersOf(key);
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}
