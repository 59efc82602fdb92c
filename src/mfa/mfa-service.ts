import type { ObjectId } from 'mongodb';
import type { AccountStore } from '../admins/account-store.ts';
import type { AccountDocument } from '../admins/admin-document.ts';
import type { Reauthentication, RenewedProof } from '../admins/reauthentication.ts';
import type { Clock } from '../clock.ts';
import { InvalidFieldError } from '../errors.ts';
import type { IdSource } from '../ids.ts';
import type { AccountSessionStore, SessionClient } from '../sessions/account-session-store.ts';
import { InvalidTokenError } from '../sessions/session-errors.ts';
import { type AuthenticatorEntry, authenticatorEntry, stepOfCode } from './authenticator.ts';
import { parseMfaCode, parseTotpCode } from './mfa-code.ts';
import {
  InvalidCodeFieldError,
  MfaAlreadyEnabledError,
  MfaNotBegunError,
  MfaNotEnabledError,
  MfaRequiredFieldError,
} from './mfa-errors.ts';
import type { RecoveryCodes } from './recovery-codes.ts';
import type { SecondFactorStore } from './second-factor-store.ts';
import type { PendingTotpDocument, TotpDocument } from './totp-document.ts';
import type { TotpSecrets } from './totp-secrets.ts';

/** For so long an enrolment waits for its first code. */
export const ENROLMENT_MS = 10 * 60 * 1_000;
/** More wrong codes end the enrolment, so that a stolen access token cannot guess its way to the recovery codes. */
export const ENROLMENT_ATTEMPTS = 10;

/** What an account has for a second factor, as its owner sees it. */
export interface MfaStatus {
  totp: boolean;
  recovery_codes_left: number;
}

/** An enrolment that was begun. */
export interface BegunEnrolment extends AuthenticatorEntry {
  expires_at: Date;
}

/** Whose factor it is, and the session in which they are signed in. */
export interface FactorOwner {
  accountId: ObjectId;
  sessionId: ObjectId;
}

/** Whether a change ends the person's sessions on other devices (OWASP ASVS 5.0, 7.4.3). */
export interface SessionChoice {
  endOthers: boolean;
}

interface MfaServiceDeps {
  accounts: AccountStore;
  sessions: AccountSessionStore;
  reauthentication: Reauthentication<AccountDocument>;
  factors: SecondFactorStore;
  secrets: TotpSecrets;
  recoveryCodes: RecoveryCodes;
  clock: Clock;
  ids: IdSource;
  issuer: string;
}

/** The rules of having a second factor: enrolling it, replacing its recovery codes, removing it. */
export class MfaService {
  readonly #deps: MfaServiceDeps;

  /** @param deps - `issuer`: what authenticator apps show as the origin of the code */
  constructor(deps: MfaServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Begins an enrolment, in place of one that was begun before. Nothing is in force until it is confirmed.
   *
   * @throws MfaAlreadyEnabledError, and as {@link Reauthentication.prove}
   */
  async begin(
    owner: FactorOwner,
    password: string,
    client: SessionClient,
  ): Promise<BegunEnrolment> {
    const { secrets, factors, clock, ids, issuer } = this.#deps;
    await this.#assertNoFactor(owner);
    const account = await this.#provenWithoutFactor(owner, password, client);
    const secret = secrets.generate();
    const pending: PendingTotpDocument = {
      id: ids.objectId(),
      secret: secrets.seal(secret, account._id),
      attempts: 0,
      expires_at: new Date(clock.now().getTime() + ENROLMENT_MS),
    };
    if (!(await factors.setPending(account._id, pending))) throw new MfaAlreadyEnabledError();
    const entry = authenticatorEntry(secret, { issuer, label: account.email });
    return { ...entry, expires_at: pending.expires_at };
  }

  /**
   * Puts the enrolment in force with a first code of the app, which is used up by it.
   *
   * @returns the recovery codes, which nobody can look up later
   * @throws MfaNotBegunError, MfaAlreadyEnabledError, InvalidCodeFieldError, InvalidFieldError, InvalidTokenError
   */
  async confirm(owner: FactorOwner, text: string, { endOthers }: SessionChoice): Promise<string[]> {
    const { factors, secrets, clock } = this.#deps;
    const code = parseTotpCode(text);
    if (code === undefined)
      throw new InvalidFieldError('/code', 'must be the six digits of the app');
    const now = clock.now();
    const pending = await factors.takeAttempt(owner.accountId, { now, most: ENROLMENT_ATTEMPTS });
    if (pending === null) await this.#assertNoFactor(owner);
    const opened = pending && secrets.open(pending.secret, owner.accountId);
    if (!pending || !opened) throw new MfaNotBegunError();
    const step = stepOfCode(opened.secret, code, now);
    if (step === undefined) throw new InvalidCodeFieldError();
    const codes = this.#deps.recoveryCodes.generate();
    const factor = this.#factorOf(owner.accountId, pending, { step, codes, now });
    const changeId = this.#deps.ids.objectId();
    if (endOthers) await this.#deps.sessions.admitTo(changeId, owner.sessionId);
    if (!(await factors.enable(owner.accountId, factor, changeId, endOthers))) {
      await this.#assertNoFactor(owner);
      // Another beginning was faster: the code is of a secret that has been replaced.
      throw new InvalidCodeFieldError();
    }
    if (endOthers) await this.#deps.sessions.endBefore(owner.accountId, changeId);
    return codes;
  }

  /**
   * Replaces all recovery codes, also those that are left.
   *
   * @throws MfaNotEnabledError, InvalidFieldError, and as {@link Reauthentication.prove}
   */
  async replaceRecoveryCodes(
    owner: FactorOwner,
    proof: RenewedProof,
    client: SessionClient,
  ): Promise<string[]> {
    const { factors, recoveryCodes, clock } = this.#deps;
    const key = await this.#provenFactor(owner, proof, client);
    const codes = recoveryCodes.generate();
    const hashes = codes.map((code) => recoveryCodes.hash(code, key.adminId));
    if (!(await factors.replaceRecoveryCodes(key, hashes, clock.now())))
      throw new MfaNotEnabledError();
    return codes;
  }

  /**
   * Removes the factor and its recovery codes.
   *
   * @throws MfaNotEnabledError, InvalidFieldError, and as {@link Reauthentication.prove}
   */
  async disable(
    owner: FactorOwner,
    proof: RenewedProof,
    client: SessionClient,
    { endOthers }: SessionChoice,
  ): Promise<void> {
    const key = await this.#provenFactor(owner, proof, client);
    const { factors, sessions, clock, ids } = this.#deps;
    const changeId = ids.objectId();
    if (endOthers) await sessions.admitTo(changeId, owner.sessionId);
    await factors.disable(key, clock.now(), changeId, endOthers);
    if (endOthers) await sessions.endBefore(owner.accountId, changeId);
  }

  async #assertNoFactor(owner: FactorOwner): Promise<void> {
    if ((await this.#accountOf(owner)).totp !== undefined) throw new MfaAlreadyEnabledError();
  }

  async #provenWithoutFactor(owner: FactorOwner, password: string, client: SessionClient) {
    const { reauthentication } = this.#deps;
    try {
      return await reauthentication.prove(owner.accountId, { current_password: password }, client);
    } catch (error) {
      // One was confirmed since we looked.
      if (error instanceof MfaRequiredFieldError) throw new MfaAlreadyEnabledError();
      throw error;
    }
  }

  async #provenFactor(owner: FactorOwner, proof: RenewedProof, client: SessionClient) {
    if (proof.code === undefined || parseMfaCode(proof.code) === undefined)
      throw new InvalidFieldError('/code', 'must be a code of the app, or a recovery code');
    // Before the password: what an account has is no secret to its owner, and a code would mean nothing.
    if ((await this.#accountOf(owner)).totp === undefined) throw new MfaNotEnabledError();
    const { _id, totp } = await this.#deps.reauthentication.prove(owner.accountId, proof, client);
    if (totp === undefined) throw new MfaNotEnabledError();
    return { adminId: _id, factorId: totp.id };
  }

  async #accountOf({ accountId }: FactorOwner): Promise<AccountDocument> {
    const account = await this.#deps.accounts.findById(accountId);
    if (account === null) throw new InvalidTokenError();
    return account;
  }

  #factorOf(
    adminId: ObjectId,
    { id, secret }: PendingTotpDocument,
    { step, codes, now }: { step: number; codes: readonly string[]; now: Date },
  ): Omit<TotpDocument, 'uses'> {
    const { recoveryCodes } = this.#deps;
    return {
      ...{ id, secret, last_step: step, enabled_at: now },
      recovery_codes: codes.map((code) => recoveryCodes.hash(code, adminId)),
    };
  }
}

/** What an account has for a second factor, without anything secret in it. */
export function mfaStatusOf({ totp }: Pick<AccountDocument, 'totp'>): MfaStatus {
  return { totp: totp !== undefined, recovery_codes_left: totp?.recovery_codes.length ?? 0 };
}
