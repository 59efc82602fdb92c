import { Secret, TOTP } from 'otpauth';

/** What authenticator apps take for granted, some without looking at the URI (Key URI Format). */
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;

/** Steps before and after the present one whose codes are accepted: for clocks that are off, and codes typed slowly (RFC 6238, 5.2). */
const WINDOW = 1;

/** What a person enters into an authenticator app, by hand or by a QR code of the URI. */
export interface AuthenticatorEntry {
  /** Base32. */
  secret: string;
  otpauth_uri: string;
}

/**
 * @param about - `issuer` and `label` are what the app shows beside the code
 * @see https://github.com/google/google-authenticator/wiki/Key-Uri-Format
 */
export function authenticatorEntry(
  secret: Buffer,
  about: { issuer: string; label: string },
): AuthenticatorEntry {
  const totp = totpOf(secret, about);
  return { secret: totp.secret.base32, otpauth_uri: totp.toString() };
}

/**
 * Finds the time step a code belongs to. It says nothing about whether the code was used before: see
 * `SecondFactorStore.useStep`.
 *
 * @returns undefined when it is the code of none within the window
 */
export function stepOfCode(secret: Buffer, code: string, now: Date): number | undefined {
  const timestamp = now.getTime();
  const totp = totpOf(secret);
  const delta = totp.validate({ token: code, timestamp, window: WINDOW });
  return delta === null ? undefined : totp.counter({ timestamp }) + delta;
}

function totpOf(secret: Buffer, about: { issuer?: string; label?: string } = {}): TOTP {
  return new TOTP({ ...PARAMETERS, ...about, secret: Secret.fromHex(secret.toString('hex')) });
}
