import { ObjectId } from 'mongodb';
import type { OperatorCaller } from '../access/caller.ts';
import type { AccountStore } from '../admins/account-store.ts';
import type { Clock } from '../clock.ts';
import { isOfEra } from '../sessions/account-session-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import type { OperatorSessionStore } from './operator-session-store.ts';
import type { OperatorTokens } from './operator-tokens.ts';

interface OperatorAccessDeps {
  tokens: OperatorTokens;
  sessions: OperatorSessionStore;
  operators: AccountStore;
  clock: Clock;
}

/**
 * Decides which operator a token speaks for **now**. Operators are few, so the session and the account are read each time:
 * an end counts on every instance at once.
 */
export class OperatorAccess {
  readonly #deps: OperatorAccessDeps;

  constructor(deps: OperatorAccessDeps) {
    this.#deps = deps;
  }

  /**
   * @returns undefined for what is no token of an operator
   * @throws InvalidTokenError, TokenExpiredError
   */
  async authenticate(token: string): Promise<OperatorCaller | undefined> {
    const { tokens, sessions, operators, clock } = this.#deps;
    const claims = tokens.verify(token);
    if (claims === undefined) return undefined;
    const operatorId = ObjectId.createFromHexString(claims.operator_id);
    const sessionId = ObjectId.createFromHexString(claims.sid);
    // In this order: a session that outlives a change of credentials is told of the new era before it begins.
    const era = await operators.eraOf(operatorId);
    const session = await sessions.findLive(sessionId, clock.now());
    if (!session?.operator_id.equals(operatorId)) throw new InvalidTokenError();
    if (era === undefined || !isOfEra(session, era)) throw new InvalidTokenError();
    return { kind: 'operator', operatorId, sessionId };
  }
}
