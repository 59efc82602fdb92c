import { parseRecoveryCode, withoutSeparators } from './recovery-codes.ts';

/** What a person may prove the second factor with. */
export type MfaCode = { kind: 'totp' | 'recovery'; code: string };

/** @returns the six digits of an authenticator app, or a recovery code; undefined for what can be neither */
export function parseMfaCode(text: string): MfaCode | undefined {
  const digits = parseTotpCode(text);
  if (digits !== undefined) return { kind: 'totp', code: digits };
  const code = parseRecoveryCode(text);
  return code === undefined ? undefined : { kind: 'recovery', code };
}

/** @returns six digits, without the space in the middle that apps show; undefined for what is none */
export function parseTotpCode(text: string): string | undefined {
  const code = withoutSeparators(text);
  return /^[0-9]{6}$/.test(code) ? code : undefined;
}
