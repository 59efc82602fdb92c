import { createSigner, createVerifier, TokenError } from 'fast-jwt';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Clock } from '../clock.ts';
import { InvalidTokenError, TokenExpiredError } from './session-errors.ts';

const ISSUER = 'tenantry';
const AUDIENCE = 'tenantry';

const HexId = Type.String({ pattern: '^[0-9a-f]{24}$' });

/** Seconds since the epoch (RFC 7519 NumericDate). */
const NumericDate = Type.Integer({ minimum: 0 });

/**
 * What an access token says. Only `org_id`, `admin_id` and `sid` decide anything; the rest is for the product to show,
 * and as old as the token (`organization` is the name at issue).
 */
const AccessTokenClaims = Type.Object({
  iss: Type.String(),
  aud: Type.String(),
  sub: HexId,
  admin_id: HexId,
  email: Type.String(),
  org_id: HexId,
  organization: Type.String(),
  role: Type.String(),
  sid: HexId,
  iat: NumericDate,
  exp: NumericDate,
  jti: Type.String(),
});
export type AccessTokenClaims = Type.Static<typeof AccessTokenClaims>;

const claimsValidator = Compile(AccessTokenClaims);

export type AccessTokenSubject = Omit<AccessTokenClaims, 'iss' | 'aud' | 'sub' | 'iat' | 'exp'>;

/**
 * Signs and verifies access tokens: JWT (RFC 7519) with HS256.
 *
 * The algorithm is fixed on both sides, so neither `none` nor a key of another kind is ever considered (RFC 8725).
 */
export class AccessTokens {
  readonly #clock: Clock;
  readonly #ttlSeconds: number;
  readonly #sign: (claims: object) => string;
  readonly #verify: (token: string) => unknown;

  constructor(deps: { secret: string; ttlSeconds: number; clock: Clock }) {
    this.#clock = deps.clock;
    this.#ttlSeconds = deps.ttlSeconds;
    this.#sign = createSigner({ key: deps.secret, algorithm: 'HS256' });
    this.#verify = createVerifier({
      key: deps.secret,
      algorithms: ['HS256'],
      allowedIss: ISSUER,
      allowedAud: AUDIENCE,
      // Expiry is judged by the injected clock, below.
      ignoreExpiration: true,
    });
  }

  get ttlSeconds(): number {
    return this.#ttlSeconds;
  }

  /** @param issuedAt - the token is valid from here for the configured time */
  issue(subject: AccessTokenSubject, issuedAt: Date): string {
    const iat = Math.floor(issuedAt.getTime() / 1_000);
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: subject.admin_id, ...subject };
    return this.#sign({ ...claims, iat, exp: iat + this.#ttlSeconds });
  }

  /** @throws InvalidTokenError, TokenExpiredError */
  verify(token: string): AccessTokenClaims {
    const claims = this.#parse(token);
    if (!claimsValidator.Check(claims)) throw new InvalidTokenError();
    if (claims.exp * 1_000 <= this.#clock.now().getTime()) throw new TokenExpiredError();
    return claims;
  }

  #parse(token: string): unknown {
    try {
      return this.#verify(token);
    } catch (error) {
      if (error instanceof TokenError) throw new InvalidTokenError(undefined, error);
      throw error;
    }
  }
}
