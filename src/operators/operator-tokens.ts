import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Clock } from '../clock.ts';
import { assertTimely, HexId, NumericDate } from '../sessions/access-tokens.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import { type TokenKeys, TokenSignatures } from '../sessions/token-signatures.ts';

/** What follows the configured audience in an operator's token. */
const AUDIENCE_SUFFIX = '/operators';

/** What an operator's access token says. Only `operator_id` and `sid` decide anything. */
const OperatorTokenClaims = Type.Object({
  iss: Type.String(),
  aud: Type.String(),
  sub: HexId,
  operator_id: HexId,
  email: Type.String(),
  sid: HexId,
  iat: NumericDate,
  exp: NumericDate,
  nbf: Type.Optional(NumericDate),
  jti: Type.String({ minLength: 1 }),
});
export type OperatorTokenClaims = Type.Static<typeof OperatorTokenClaims>;

const claimsValidator = Compile(OperatorTokenClaims);

export type OperatorTokenSubject = Pick<
  OperatorTokenClaims,
  'operator_id' | 'email' | 'sid' | 'jti'
>;

interface OperatorTokensDeps {
  keys: TokenKeys;
  issuer: string;
  /** That of members' tokens. */
  audience: string;
  ttlSeconds: number;
  clock: Clock;
}

/**
 * Issues and verifies the access tokens of operators. They are signed like members', for another audience (RFC 8725, 3.9):
 * so no back end that verifies members' tokens by itself takes one for a member's, and neither does this service.
 */
export class OperatorTokens {
  readonly #deps: OperatorTokensDeps;
  readonly #signatures: TokenSignatures;
  readonly #audience: string;

  constructor(deps: OperatorTokensDeps) {
    this.#deps = deps;
    this.#audience = `${deps.audience}${AUDIENCE_SUFFIX}`;
    this.#signatures = new TokenSignatures(deps.keys, {
      issuer: deps.issuer,
      audience: this.#audience,
    });
  }

  get ttlSeconds(): number {
    return this.#deps.ttlSeconds;
  }

  /** @param issuedAt - the token is valid from here for the configured time */
  issue(subject: OperatorTokenSubject, issuedAt: Date): string {
    const { issuer, ttlSeconds } = this.#deps;
    const iat = Math.floor(issuedAt.getTime() / 1_000);
    const claims = { iss: issuer, aud: this.#audience, sub: subject.operator_id, ...subject };
    return this.#signatures.sign({ ...claims, iat, exp: iat + ttlSeconds });
  }

  /**
   * @returns undefined for what is no token of an operator
   * @throws InvalidTokenError, TokenExpiredError for one that is not good now
   */
  verify(token: string): OperatorTokenClaims | undefined {
    const claims = this.#signatures.open(token);
    if (!claimsValidator.Check(claims)) return undefined;
    if (claims.sub !== claims.operator_id) throw new InvalidTokenError();
    assertTimely(claims, this.#deps.clock.now());
    return claims;
  }
}
