import { createDecoder, createSigner, createVerifier, TokenError } from 'fast-jwt';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { type PublicJwk, publicJwk, type SigningKeySet } from '../keys/signing-keys.ts';

/** What signs: secrets (HS256) or a key set (ES256, EdDSA). Either way the first signs, and all of them verify. */
export type TokenKeys =
  | { readonly secrets: readonly [string, ...string[]] }
  | { readonly keys: SigningKeySet };

/**
 * All that the header of a token may say. So nothing in it can name a key of its own (`jwk`, `jku`, `x5c`, `x5u`) or ask
 * for what is not understood (`crit`; RFC 7515, 4.1.11).
 */
const Header = Compile(
  Type.Object(
    {
      alg: Type.String(),
      typ: Type.Optional(Type.Literal('JWT')),
      kid: Type.Optional(Type.String()),
    },
    { additionalProperties: false },
  ),
);

type Verifier = (token: string) => unknown;

const decode = createDecoder({ complete: true });

/**
 * Signs claims as JWTs (RFC 7519) and finds out whether a token was signed here.
 *
 * The key decides the algorithm, and the token's `kid` only picks among our keys (RFC 8725, 3.1): with secrets there is no
 * `kid` and no algorithm but HS256; with a key set HS256 is never considered, so that a public key can be no secret.
 */
export class TokenSignatures {
  /** The public keys, the one that signs first; none with secrets. */
  readonly publicKeys: readonly PublicJwk[];
  readonly #sign: (claims: object) => string;
  /** By `kid`; the secrets have none. */
  readonly #verifiers: ReadonlyMap<string | undefined, readonly Verifier[]>;

  /** @param accepted - the only issuer and the only audience of a token that is accepted */
  constructor(keys: TokenKeys, accepted: { issuer: string; audience: string }) {
    const common = {
      allowedIss: accepted.issuer,
      allowedAud: accepted.audience,
      // Times are judged by the injected clock, which this library cannot ask.
      ignoreExpiration: true,
      ignoreNotBefore: true,
    };
    if ('secrets' in keys) {
      this.publicKeys = [];
      this.#sign = createSigner({ key: keys.secrets[0], algorithm: 'HS256' });
      const verifiers = keys.secrets.map((key) =>
        createVerifier({ key, algorithms: ['HS256'], ...common }),
      );
      this.#verifiers = new Map([[undefined, verifiers]]);
      return;
    }
    const [{ kid, algorithm, privateKey }] = keys.keys;
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    this.publicKeys = keys.keys.map(publicJwk);
    this.#sign = createSigner({ key, algorithm, kid });
    this.#verifiers = new Map(
      keys.keys.map((one) => {
        const key = one.publicKey.export({ type: 'spki', format: 'pem' });
        return [one.kid, [createVerifier({ key, algorithms: [one.algorithm], ...common })]];
      }),
    );
  }

  sign(claims: object): string {
    return this.#sign(claims);
  }

  /** @returns the claims of a token that one of our keys signed for our issuer and audience; undefined for any other text */
  open(token: string): unknown {
    try {
      const { header, signature } = decode(token);
      if (!Header.Check(header) || !isCanonical(signature)) return undefined;
      const verifiers = this.#verifiers.get(header.kid) ?? [];
      return firstOf(verifiers, token);
    } catch (error) {
      if (error instanceof TokenError) return undefined;
      throw error;
    }
  }
}

/** What the first verifier makes of a token that does not refuse it. */
function firstOf(verifiers: readonly Verifier[], token: string): unknown {
  for (const verify of verifiers) {
    try {
      return verify(token);
    } catch (error) {
      if (!(error instanceof TokenError)) throw error;
    }
  }
  return undefined;
}

/** Whether the bits that the last character of a text in base64 has to spare are zero (RFC 4648, 3.5). */
function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}
