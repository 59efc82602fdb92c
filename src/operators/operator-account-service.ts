import type { OperatorCaller } from '../access/caller.ts';
import type { AccountStore } from '../admins/account-store.ts';
import { normalizeEmail } from '../admins/admin-document.ts';
import { EmailTakenError } from '../admins/admin-errors.ts';
import type { CredentialCheck, Proof } from '../admins/credential-check.ts';
import type { PasswordChange } from '../admins/password-change.ts';
import type { PasswordHasher } from '../admins/password-hasher.ts';
import { assertAcceptablePassword } from '../admins/password-policy.ts';
import { personName } from '../admins/person-name.ts';
import type { Reauthentication } from '../admins/reauthentication.ts';
import type { Clock } from '../clock.ts';
import { InvalidFieldError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import type { Logger } from '../logging/logger.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import type { TokenPair } from '../sessions/session-rotation.ts';
import type { OperatorDocument } from './operator-document.ts';
import type { OperatorSessionService } from './operator-session-service.ts';

/** An operator's changes of their own account; what is absent stays as it is. */
export interface OperatorChange {
  name?: string | null;
  password?: string;
  current_password?: string;
  code?: string;
}

/** Whom a new account is for. */
export interface NewOperator {
  email: string;
  password: string;
}

interface OperatorAccountServiceDeps {
  operators: AccountStore;
  sessions: OperatorSessionService;
  credentials: CredentialCheck<OperatorDocument>;
  reauthentication: Reauthentication<OperatorDocument>;
  passwordChange: PasswordChange;
  passwords: PasswordHasher;
  clock: Clock;
  ids: IdSource;
  logger: Logger;
}

/** The rules of being an operator: becoming one, signing in, one's own account. */
export class OperatorAccountService {
  readonly #deps: OperatorAccountServiceDeps;

  constructor(deps: OperatorAccountServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Makes an operator, once for an address, however many do so at the same time.
   *
   * @returns false when the address has one already, which stays as it is, whatever its password
   * @throws InvalidFieldError, PasswordTooCommonError, PasswordQueueFullError
   */
  async create({ email: given, password }: NewOperator): Promise<boolean> {
    const { operators, passwords, ids, clock } = this.#deps;
    const email = normalizeEmail(given);
    if ((await operators.findByEmail(email)) !== null) return false;
    assertAcceptablePassword(password, { emails: [email] });
    const now = clock.now();
    const operator: OperatorDocument = {
      ...{ _id: ids.objectId(), email, name: null, password: await passwords.hash(password) },
      ...{ created_at: now, updated_at: now },
    };
    try {
      await operators.insert(operator);
      return true;
    } catch (error) {
      if (error instanceof EmailTakenError) return false;
      throw error;
    }
  }

  /**
   * Makes the operator that the settings name, unless there is one of that address. What the settings say later of the
   * password changes nothing: that would be a way around the second factor, and around a change of the password.
   */
  async ensureFirst(first: NewOperator): Promise<void> {
    const { operators, passwords, logger } = this.#deps;
    const email = normalizeEmail(first.email);
    if (await this.create(first)) {
      logger.info({ email }, 'made the operator that OPERATOR_EMAIL names');
      return;
    }
    const found = await operators.findByEmail(email);
    if (!(await passwords.verify(first.password, found?.password)))
      logger.warn(
        'OPERATOR_PASSWORD is not the password of the operator that OPERATOR_EMAIL names. It was for making that ' +
          'operator, has no effect any more, and need not be kept.',
      );
  }

  /**
   * Takes the same time and gives the same answer whether the account exists or not (OWASP ASVS 6.3.8).
   *
   * @throws InvalidCredentialsError, MfaRequiredError, InvalidCodeError, PasswordQueueFullError, TooManyAttemptsError
   */
  async login(
    proof: Proof,
    client: SessionClient,
  ): Promise<{ operator: OperatorDocument; tokens: TokenPair }> {
    const { credentials, sessions } = this.#deps;
    const operator = await credentials.verify(proof, client);
    return { operator, tokens: await sessions.start(operator, client) };
  }

  /** @throws InvalidTokenError when the account has gone since the token was looked at */
  async get({ operatorId }: OperatorCaller): Promise<OperatorDocument> {
    const operator = await this.#deps.operators.findById(operatorId);
    if (operator === null) throw new InvalidTokenError();
    return operator;
  }

  /**
   * Changes name and password. A new password needs the present one, and a code if there is a second factor, and ends
   * the operator's other sessions.
   *
   * @throws InvalidFieldError, PasswordTooCommonError, MfaRequiredFieldError, InvalidCodeFieldError, InvalidTokenError,
   *   CredentialsChangedError, TooManyAttemptsError, PasswordQueueFullError; nothing has changed after any of them
   */
  async change(
    caller: OperatorCaller,
    change: OperatorChange,
    client: SessionClient,
  ): Promise<OperatorDocument> {
    const { operators, clock } = this.#deps;
    const name = change.name === undefined ? undefined : personName(change.name);
    if (change.password !== undefined)
      await this.#changePassword(caller, change, change.password, client);
    else assertNoProof(change);
    if (
      name !== undefined &&
      (await operators.setName(caller.operatorId, name, clock.now())) === null
    )
      throw new InvalidTokenError();
    return this.get(caller);
  }

  async #changePassword(
    caller: OperatorCaller,
    { current_password, code }: OperatorChange,
    password: string,
    client: SessionClient,
  ): Promise<void> {
    const { reauthentication, passwordChange, passwords, ids } = this.#deps;
    if (current_password === undefined)
      throw new InvalidFieldError('/current_password', 'is required to change the password');
    // Before the proof, which uses a code up.
    assertAcceptablePassword(password, { emails: [(await this.get(caller)).email] });
    const proof = { current_password, ...(code !== undefined && { code }) };
    const operator = await reauthentication.prove(caller.operatorId, proof, client);
    await passwordChange.run(operator, {
      sessionId: caller.sessionId,
      password: await passwords.hash(password),
      changeId: ids.objectId(),
    });
  }
}

/** @throws InvalidFieldError when something is proven that nothing is changed with */
function assertNoProof({ current_password, code }: OperatorChange): void {
  for (const [field, value] of Object.entries({ current_password, code }))
    if (value !== undefined)
      throw new InvalidFieldError(`/${field}`, 'is only needed with a new password');
}
