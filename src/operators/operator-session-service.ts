import type { ObjectId } from 'mongodb';
import type { AccountStore } from '../admins/account-store.ts';
import { lastChangeOf, sameChange } from '../admins/admin-document.ts';
import { InvalidCredentialsError } from '../admins/admin-errors.ts';
import { isOfEra, type SessionClient } from '../sessions/account-session-store.ts';
import { InvalidRefreshTokenError } from '../sessions/session-errors.ts';
import type { SessionRotation, TokenPair } from '../sessions/session-rotation.ts';
import type { OperatorDocument } from './operator-document.ts';
import type { OperatorSessionDocument, OperatorSessionStore } from './operator-session-store.ts';
import type { OperatorTokens } from './operator-tokens.ts';

interface OperatorSessionServiceDeps {
  sessions: OperatorSessionStore;
  operators: AccountStore;
  tokens: OperatorTokens;
  rotation: SessionRotation<OperatorSessionDocument>;
}

/** Operators' sessions, and the tokens that stand for them. They are of the kinds that members have, and of no other use. */
export class OperatorSessionService {
  readonly #deps: OperatorSessionServiceDeps;

  constructor(deps: OperatorSessionServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Starts a session of an operator who has proved who they are.
   *
   * @param operator - as it was when they proved it
   * @throws InvalidCredentialsError when what proved it is not good any more
   */
  async start(operator: OperatorDocument, client: SessionClient): Promise<TokenPair> {
    const { sessions, operators, rotation } = this.#deps;
    const era = operator.session_era ?? null;
    const session = { ...rotation.begin(era, client), operator_id: operator._id };
    await sessions.insert(session);
    // A change ends the sessions it finds; one that was inserted after it looked has to end itself.
    const now = await operators.findById(operator._id);
    const isProven =
      now !== null &&
      sameChange(lastChangeOf(now), lastChangeOf(operator)) &&
      isOfEra(session, now.session_era ?? null);
    if (!isProven) {
      await sessions.end(session._id);
      throw new InvalidCredentialsError();
    }
    return this.#pair(session, operator.email);
  }

  /** @throws InvalidRefreshTokenError, RefreshTokenReusedError, as for members */
  async refresh(token: string, client: SessionClient): Promise<TokenPair> {
    const { operators, rotation } = this.#deps;
    const presented = await rotation.present(token);
    const operator = await operators.findById(presented.session.operator_id);
    if (operator === null || !isOfEra(presented.session, operator.session_era ?? null))
      throw new InvalidRefreshTokenError();
    return this.#pair(await rotation.rotate(presented, client), operator.email);
  }

  async end(sessionId: ObjectId): Promise<void> {
    await this.#deps.sessions.end(sessionId);
  }

  #pair(session: OperatorSessionDocument, email: string): TokenPair {
    const { tokens, rotation } = this.#deps;
    const subject = {
      operator_id: session.operator_id.toHexString(),
      email,
      sid: session._id.toHexString(),
    };
    return rotation.pair(session, {
      ttlSeconds: tokens.ttlSeconds,
      issue: (jti, issuedAt) => tokens.issue({ ...subject, jti }, issuedAt),
    });
  }
}
