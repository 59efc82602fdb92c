import type { ObjectId } from 'mongodb';
import type { PendingTotpDocument, TotpDocument } from '../mfa/totp-document.ts';
import type { StoredPassword } from '../registry/organization-document.ts';

/** Somebody who signs in with an e-mail address and a password: a person of organizations, or an operator. */
export interface AccountDocument {
  _id: ObjectId;
  /** Normalised; unique. */
  email: string;
  name: string | null;
  password: StoredPassword;
  /**
   * The latest changes of e-mail and password, newest first; absent before the first. By them an update that is carried
   * on after a crash knows whether its own change took place, and whether another came after.
   */
  credential_changes?: ObjectId[];
  /**
   * Named by the last change that ended the person's sessions; absent before the first. A session is good only in the era
   * it was begun in, so that such a change is one update of one document: a crash behind it, or a sign-in that was under
   * way with what was good before, leaves no session that opens anything.
   */
  session_era?: ObjectId;
  /** Keyed hashes of the networks where the password was proved lately, newest first: see `KnownNetworks`. */
  known_networks?: { network: string; proved_at: Date }[];
  /** The second factor, if there is one. */
  totp?: TotpDocument;
  /** A second factor that waits for its first code. */
  totp_pending?: PendingTotpDocument;
  created_at: Date;
  updated_at: Date;
}

/** A person who administers one or more organizations. */
export interface AdminDocument extends AccountDocument {
  /**
   * Counts the memberships ever given. An account is removed only if nothing was added since its memberships were
   * looked at, so removing it and joining another organization at the same time cannot leave a membership of nobody.
   */
  membership_version: number;
  /** Where the next login goes unless it names an organization. */
  last_organization_id: ObjectId | null;
}

/** The one spelling under which an e-mail address is stored and looked up. */
export function normalizeEmail(email: string): string {
  return email.trim().normalize('NFKC').toLowerCase();
}

/** A new account, which belongs to nothing yet. */
export function newAccount(
  of: Pick<AdminDocument, '_id' | 'email' | 'password'> & { name?: string | null; now: Date },
): AdminDocument {
  const { _id, email, name = null, password, now } = of;
  return {
    ...{ _id, email, name, password },
    membership_version: 0,
    last_organization_id: null,
    created_at: now,
    updated_at: now,
  };
}

/** Which change of their credentials a person's account was last left by; null before the first. */
export function lastChangeOf({
  credential_changes,
}: Pick<AccountDocument, 'credential_changes'>): ObjectId | null {
  return credential_changes?.[0] ?? null;
}

/** Whether nothing came between two of {@link lastChangeOf}. */
export function sameChange(one: ObjectId | null, other: ObjectId | null): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}
