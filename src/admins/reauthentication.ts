import type { ObjectId } from 'mongodb';
import { InvalidFieldError } from '../errors.ts';
import {
  InvalidCodeError,
  InvalidCodeFieldError,
  MfaRequiredError,
  MfaRequiredFieldError,
} from '../mfa/mfa-errors.ts';
import type { SessionClient } from '../sessions/account-session-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import type { AccountStore } from './account-store.ts';
import type { AccountDocument, AdminDocument } from './admin-document.ts';
import { InvalidCredentialsError } from './admin-errors.ts';
import type { CredentialCheck } from './credential-check.ts';

/** What somebody who is signed in proves once more. */
export interface RenewedProof {
  current_password: string;
  code?: string;
}

/**
 * Has people who are signed in prove again who they are, before they change what they sign in with: an access token in
 * the wrong hands must not be enough for that (OWASP ASVS 5.0, 7.5.1).
 */
export class Reauthentication<T extends AccountDocument = AdminDocument> {
  readonly #deps: { accounts: AccountStore<T>; credentials: CredentialCheck<T> };

  constructor(deps: { accounts: AccountStore<T>; credentials: CredentialCheck<T> }) {
    this.#deps = deps;
  }

  /**
   * The same check as at sign-in. Its refusals name the field, and are no 401: that says to a client that the access
   * token is at fault, and should be refreshed.
   *
   * @returns the account, as it was when it was checked
   * @throws InvalidFieldError, MfaRequiredFieldError, InvalidCodeFieldError, InvalidTokenError (the account is gone),
   *   PasswordQueueFullError
   */
  async prove(accountId: ObjectId, proof: RenewedProof, client: SessionClient): Promise<T> {
    const account = await this.#deps.accounts.findById(accountId);
    if (account === null) throw new InvalidTokenError();
    const verified = await this.#verify(account.email, proof, client);
    // The address changed hands between the two look-ups: the password proves somebody else.
    if (!verified._id.equals(accountId)) throw wrongPassword();
    return verified;
  }

  async #verify(
    email: string,
    { current_password: password, code }: RenewedProof,
    client: SessionClient,
  ): Promise<T> {
    try {
      const proof = { email, password, ...(code !== undefined && { code }) };
      return await this.#deps.credentials.verify(proof, client);
    } catch (error) {
      if (error instanceof InvalidCredentialsError) throw wrongPassword();
      if (error instanceof MfaRequiredError) throw new MfaRequiredFieldError(error);
      if (error instanceof InvalidCodeError) throw new InvalidCodeFieldError(error);
      throw error;
    }
  }
}

function wrongPassword(): InvalidFieldError {
  return new InvalidFieldError('/current_password', 'is wrong');
}
