import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { IdSource } from '../ids.ts';
import {
  type AccountSessionDocument,
  type AccountSessionStore,
  endOf,
  type SessionClient,
} from './account-session-store.ts';
import type { RefreshTokenClaim, RefreshTokens } from './refresh-tokens.ts';
import { InvalidRefreshTokenError, RefreshTokenReusedError } from './session-errors.ts';

/** For so long after a rotation the same client may present the old token again: two tabs, one lost answer. */
const DOUBLE_SUBMIT_MS = 10_000;

/** What a sign-in or a refresh hands to the client. Times are in seconds. */
export interface TokenPair {
  access_token: string;
  token_type: 'bearer';
  expires_in: number;
  refresh_token: string;
  refresh_expires_in: number;
}

/** A refresh token that stands for a session that has not ended. Whether it is the latest is found out by using it. */
export interface PresentedToken<T extends AccountSessionDocument> {
  claim: RefreshTokenClaim;
  session: T;
}

interface SessionRotationDeps<T extends AccountSessionDocument> {
  sessions: AccountSessionStore<T>;
  refreshTokens: RefreshTokens;
  clock: Clock;
  ids: IdSource;
  refreshTtlSeconds: number;
  idleTtlSeconds: number;
}

/**
 * The life of a session from one refresh token to the next, whatever kind of account it is of.
 *
 * A refresh token is valid once (RFC 9700, 4.14.2). It can be computed from the session's place in its line, so a double
 * submit is given the very same pair without any token being stored, and a used token is known as such however old it is.
 */
export class SessionRotation<T extends AccountSessionDocument> {
  readonly #deps: SessionRotationDeps<T>;

  constructor(deps: SessionRotationDeps<T>) {
    this.#deps = deps;
  }

  /** What a new session has in common with all others. */
  begin(era: T['era'], client: SessionClient): AccountSessionDocument {
    const { ids, clock, refreshTtlSeconds } = this.#deps;
    const now = clock.now();
    return {
      ...{ _id: ids.objectId(), era, client, refresh_generation: 0 },
      ...{ rotated_at: now, created_at: now, last_used_at: now },
      expires_at: new Date(now.getTime() + refreshTtlSeconds * 1_000),
      idle_expires_at: this.#idleEnd(now),
    };
  }

  /** Finds the session of a refresh token, which stays good. @throws InvalidRefreshTokenError */
  async present(token: string): Promise<PresentedToken<T>> {
    const { sessions, clock, refreshTokens } = this.#deps;
    const claim = refreshTokens.open(token);
    const session = claim && (await sessions.findLive(claim.sessionId, clock.now()));
    if (!claim || !session) throw new InvalidRefreshTokenError();
    return { claim, session };
  }

  /**
   * Uses a refresh token up. Two submits within 10 s by one client get the same session; any other second use ends it.
   *
   * @throws InvalidRefreshTokenError, RefreshTokenReusedError
   */
  async rotate({ claim }: PresentedToken<T>, client: SessionClient): Promise<T> {
    const { sessions, clock } = this.#deps;
    const now = clock.now();
    const rotation = { rotated_at: now, client, idle_expires_at: this.#idleEnd(now) };
    return (
      (await sessions.rotate(claim.sessionId, claim.generation, rotation)) ??
      this.#doubleSubmit(claim, client)
    );
  }

  /**
   * The tokens of a session, the same however often they are asked for between two rotations.
   *
   * @param access - issues the access token, with the id (`jti`) it is to have
   */
  pair(
    session: T,
    access: { ttlSeconds: number; issue: (jti: string, issuedAt: Date) => string },
  ): TokenPair {
    const issuedAt = session.rotated_at;
    const refreshToken = this.#deps.refreshTokens.issue({
      sessionId: session._id,
      generation: session.refresh_generation,
    });
    // One for each pair, and the same when a double submit is given the pair again.
    const jti = createHash('sha256').update(`jti:${refreshToken}`).digest('hex').slice(0, 32);
    return {
      access_token: access.issue(jti, issuedAt),
      token_type: 'bearer',
      expires_in: access.ttlSeconds,
      refresh_token: refreshToken,
      refresh_expires_in: Math.floor((endOf(session).getTime() - issuedAt.getTime()) / 1_000),
    };
  }

  #idleEnd(now: Date): Date {
    return new Date(now.getTime() + this.#deps.idleTtlSeconds * 1_000);
  }

  async #doubleSubmit(
    { sessionId, generation }: RefreshTokenClaim,
    client: SessionClient,
  ): Promise<T> {
    const { sessions, clock } = this.#deps;
    const session = await sessions.findLive(sessionId, clock.now());
    if (session === null) throw new InvalidRefreshTokenError();
    const sameClient =
      session.client.address === client.address && session.client.user_agent === client.user_agent;
    const age = clock.now().getTime() - session.rotated_at.getTime();
    if (session.refresh_generation === generation + 1 && sameClient && age <= DOUBLE_SUBMIT_MS)
      return session;
    await sessions.end(sessionId);
    throw new RefreshTokenReusedError();
  }
}
