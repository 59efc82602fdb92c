import type { Binary, ObjectId } from 'mongodb';

/** An authenticator app that is in force, on the account it belongs to. */
export interface TotpDocument {
  /** Names this enrolment, so that a proof that was begun against one factor is not counted against its successor. */
  id: ObjectId;
  /** Sealed: see `totp-secrets.ts`. */
  secret: Binary;
  /** The time step of the latest code that was used. Only later ones are accepted (RFC 6238, 5.2). */
  last_step: number;
  /** Keyed hashes of the recovery codes that are left. */
  recovery_codes: string[];
  /** The latest uses, newest first: by them a repetition after a lost answer knows that it was its own. */
  uses: ObjectId[];
  enabled_at: Date;
}

/** An enrolment that was begun and waits for its first code. Nothing is in force by it. */
export interface PendingTotpDocument {
  id: ObjectId;
  secret: Binary;
  /** How many codes were tried. */
  attempts: number;
  expires_at: Date;
}
