import { assertAcceptablePassword } from '../admins/password-policy.ts';
import { AppError, InvalidFieldError } from '../errors.ts';
import { isEmailAddress } from '../mail/email-address.ts';
import type { SettingReader } from './setting-reader.ts';

/** Who runs the installation, as far as the settings say it. */
export interface OperatorConfig {
  /** The operator to make at the start, unless there is one of that address. */
  readonly email?: string;
  /** Who may create organizations. */
  readonly signup: 'open' | 'operators';
}

/** Reads OPERATOR_EMAIL, OPERATOR_PASSWORD and SIGNUP. The password is a secret, and comes back apart. */
export function readOperators(reader: SettingReader): {
  operators: OperatorConfig;
  operatorPassword?: string;
} {
  const signup = reader.choice('SIGNUP', ['open', 'operators'], 'open');
  const email = reader.checked('OPERATOR_EMAIL', (value) =>
    isEmailAddress(value.trim()) ? undefined : 'must be an e-mail address',
  );
  const password = reader.text('OPERATOR_PASSWORD');
  if (password !== undefined && reader.text('OPERATOR_EMAIL') === undefined)
    reader.fault('OPERATOR_EMAIL', 'must be set when OPERATOR_PASSWORD is');
  if (reader.text('OPERATOR_EMAIL') !== undefined && password === undefined)
    reader.fault('OPERATOR_PASSWORD', 'must be set when OPERATOR_EMAIL is');
  // Never with the value: it is a secret.
  const fault = password === undefined ? undefined : passwordFault(password, email);
  if (fault !== undefined) reader.fault('OPERATOR_PASSWORD', fault);
  if (email === undefined || password === undefined) return { operators: { signup } };
  return { operators: { email: email.trim(), signup }, operatorPassword: password };
}

/** The rules are those of every new password. */
function passwordFault(password: string, email: string | undefined): string | undefined {
  try {
    assertAcceptablePassword(
      password,
      { emails: email === undefined ? [] : [email.trim()] },
      '/it',
    );
    return undefined;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const message = error.errors?.[0]?.message ?? 'is not acceptable';
    return error instanceof InvalidFieldError ? message : `must be another: it ${message}`;
  }
}
