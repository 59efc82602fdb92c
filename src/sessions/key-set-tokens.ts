import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { Clock } from '../clock.ts';
import { AppError } from '../errors.ts';
import { type AccessTokenClaims, CLOCK_SKEW_SECONDS, goodClaims } from './access-tokens.ts';
import { InvalidTokenError, TokenExpiredError } from './session-errors.ts';

/** What can be wrong with a key set or with the way to it, as opposed to the token. */
const KEY_SET_FAULTS = [errors.JWKSTimeout, errors.JWKSInvalid, errors.JWKInvalid];

/** The key set that tokens are verified with cannot be had. */
export class KeySetUnavailableError extends AppError {
  constructor(cause: unknown) {
    super(
      ...(['unavailable', 'key_set_unavailable'] as const),
      'The keys that verify access tokens cannot be fetched. Try again shortly.',
      { cause, retryAfter: 2 },
    );
  }
}

interface KeySetTokensDeps {
  /** Where the service publishes its keys, or the keys themselves. */
  keys: URL | JSONWebKeySet;
  issuer: string;
  audience: string;
  clock: Clock;
}

/**
 * Verifies access tokens with the service's public keys alone, as whoever cannot be trusted with its secret does it. Keys
 * that are fetched are kept for ten minutes; an unknown `kid` has them fetched again, at most every 30 s.
 */
export class KeySetTokens {
  readonly #deps: KeySetTokensDeps;
  readonly #keyOf: JWTVerifyGetKey;

  constructor(deps: KeySetTokensDeps) {
    this.#deps = deps;
    this.#keyOf =
      deps.keys instanceof URL ? createRemoteJWKSet(deps.keys) : createLocalJWKSet(deps.keys);
  }

  /** @throws InvalidTokenError, TokenExpiredError, KeySetUnavailableError */
  async verify(token: string): Promise<AccessTokenClaims> {
    const { issuer, audience, clock } = this.#deps;
    const now = clock.now();
    const claims = await this.#open(token, {
      ...{ issuer, audience, algorithms: ['ES256', 'EdDSA'] },
      // The claims are judged below, by the rules for every access token.
      ...{ currentDate: now, clockTolerance: CLOCK_SKEW_SECONDS },
    });
    return goodClaims(claims, now);
  }

  async #open(token: string, options: object): Promise<unknown> {
    try {
      return (await jwtVerify(token, this.#keyOf, options)).payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new TokenExpiredError(error);
      const isOfToken =
        error instanceof errors.JOSEError &&
        error.constructor !== errors.JOSEError &&
        !KEY_SET_FAULTS.some((one) => error instanceof one);
      throw isOfToken ? new InvalidTokenError(undefined, error) : new KeySetUnavailableError(error);
    }
  }
}
