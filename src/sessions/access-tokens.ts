import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Clock } from '../clock.ts';
import type { PublicJwk } from '../keys/signing-keys.ts';
import { ROLE_NAME } from '../roles/permissions.ts';
import { InvalidTokenError, TokenExpiredError } from './session-errors.ts';
import { type TokenKeys, TokenSignatures } from './token-signatures.ts';

/** How far the clock of the instance that issued a token may be ahead of this one's. */
export const CLOCK_SKEW_SECONDS = 60;

export const HexId = Type.String({ pattern: '^[0-9a-f]{24}$' });

/** Seconds since the epoch (RFC 7519 NumericDate), up to the last that a `Date` can hold in four digits of the year. */
export const NumericDate = Type.Integer({ minimum: 0, maximum: 253_402_300_799 });

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
  role: Type.String({ pattern: ROLE_NAME }),
  sid: HexId,
  iat: NumericDate,
  exp: NumericDate,
  /** Never issued, but binding (RFC 7519, 4.1.5). */
  nbf: Type.Optional(NumericDate),
  jti: Type.String({ minLength: 1 }),
});
export type AccessTokenClaims = Type.Static<typeof AccessTokenClaims>;

const claimsValidator = Compile(AccessTokenClaims);

export type AccessTokenSubject = Omit<
  AccessTokenClaims,
  'iss' | 'aud' | 'sub' | 'iat' | 'exp' | 'nbf'
>;

interface AccessTokensDeps {
  keys: TokenKeys;
  /** The `iss` and the `aud` of every token, required of every token. */
  issuer: string;
  audience: string;
  ttlSeconds: number;
  clock: Clock;
}

/** Issues and verifies access tokens: JWTs, signed as {@link TokenSignatures} says, their times judged by the clock. */
export class AccessTokens {
  readonly #deps: AccessTokensDeps;
  readonly #signatures: TokenSignatures;

  constructor(deps: AccessTokensDeps) {
    this.#deps = deps;
    this.#signatures = new TokenSignatures(deps.keys, deps);
  }

  get ttlSeconds(): number {
    return this.#deps.ttlSeconds;
  }

  /** What others need to verify a token by themselves; empty with HS256. */
  get publicKeys(): readonly PublicJwk[] {
    return this.#signatures.publicKeys;
  }

  /** @param issuedAt - the token is valid from here for the configured time */
  issue(subject: AccessTokenSubject, issuedAt: Date): string {
    const { issuer, audience, ttlSeconds } = this.#deps;
    const iat = Math.floor(issuedAt.getTime() / 1_000);
    const claims = { iss: issuer, aud: audience, sub: subject.admin_id, ...subject };
    return this.#signatures.sign({ ...claims, iat, exp: iat + ttlSeconds });
  }

  /** @throws InvalidTokenError, TokenExpiredError */
  verify(token: string): AccessTokenClaims {
    return goodClaims(this.#signatures.open(token), this.#deps.clock.now());
  }
}

/**
 * The claims of a token whose signature, issuer and audience have been found to be right.
 *
 * @throws InvalidTokenError, TokenExpiredError
 */
export function goodClaims(claims: unknown, at: Date): AccessTokenClaims {
  if (!claimsValidator.Check(claims) || claims.sub !== claims.admin_id)
    throw new InvalidTokenError();
  assertTimely(claims, at);
  return claims;
}

/** @throws InvalidTokenError for a token that is of the future, TokenExpiredError */
export function assertTimely(
  { iat, nbf = 0, exp }: Pick<AccessTokenClaims, 'iat' | 'nbf' | 'exp'>,
  at: Date,
): void {
  const now = at.getTime() / 1_000;
  if (Math.max(iat, nbf) > now + CLOCK_SKEW_SECONDS) throw new InvalidTokenError();
  if (exp <= now) throw new TokenExpiredError();
}
