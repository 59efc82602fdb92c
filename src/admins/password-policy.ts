import { dictionary } from '@zxcvbn-ts/language-common';
import { AppError, InvalidFieldError } from '../errors.ts';
import { caseless } from '../tenants/caseless.ts';

/** In Unicode code points, after NFKC. NIST SP 800-63B, 3.1.1.2: each code point counts as one character. */
const MIN_LENGTH = 8;
const MAX_LENGTH = 256;

/** OWASP ASVS 5.0, 6.2.4: at least the 3,000 most common of those that the policy would let pass otherwise. */
const COMMON_PASSWORDS = 3_000;

/**
 * From the ranked list of zxcvbn, which is mostly of lower case. Collected once, at the import: about 50 ms, and 3 MB
 * that stay with the module.
 */
const COMMON: ReadonlySet<string> = mostCommon(dictionary['passwords-common']);

/** What is known of the person and the organization whose password it will be. */
export interface PasswordContext {
  /** Every address the person has, or will have. */
  emails?: readonly string[];
  /** Every name the organization has, or will have. */
  organizationNames?: readonly string[];
}

/** A password that is among the first to be tried by anybody who guesses. */
export class PasswordTooCommonError extends AppError {
  /** @param path - JSON Pointer of the field; @param message - the rule it breaks, without the field's name */
  constructor(path: string, message: string) {
    super('invalid', 'password_too_common', `${path.slice(1)}: ${message}`, {
      errors: [{ path, message }],
    });
  }
}

/**
 * The rules for a **new** password: 8 to 256 characters, whichever they are; not one of the 3,000 most common ones; not
 * the person's e-mail address, what stands before its @, or the organization's name. Compared in NFKC and without regard
 * to case. There are no rules on composition (ASVS 6.2.5).
 *
 * Never apply it to a password that signs in: an account keeps the password it has.
 *
 * @param path - JSON Pointer of the field, for the error
 * @throws InvalidFieldError when it is too short or too long, PasswordTooCommonError
 */
export function assertAcceptablePassword(
  password: string,
  context: PasswordContext,
  path = '/password',
): void {
  const normalized = password.normalize('NFKC');
  const length = Array.from(normalized).length;
  if (length < MIN_LENGTH)
    throw new InvalidFieldError(path, `must have at least ${MIN_LENGTH} characters`);
  if (length > MAX_LENGTH)
    throw new InvalidFieldError(path, `must have at most ${MAX_LENGTH} characters`);
  const folded = fold(password);
  if (COMMON.has(folded))
    throw new PasswordTooCommonError(path, 'is one of the most common passwords; choose another');
  if (wordsOf(context).some((word) => fold(word) === folded))
    throw new PasswordTooCommonError(
      path,
      'must not be your e-mail address or the name of the organization',
    );
}

function wordsOf({ emails = [], organizationNames = [] }: PasswordContext): string[] {
  const localParts = emails.map((email) => email.slice(0, email.lastIndexOf('@')));
  return [...emails, ...localParts, ...organizationNames];
}

/** The same for everything that differs by case or by a compatible form alone. Case can undo NFKC: hence the second time. */
function fold(text: string): string {
  return caseless(text.normalize('NFKC')).normalize('NFKC');
}

/** @param ranked - the most common first */
function mostCommon(ranked: readonly string[]): Set<string> {
  const common = new Set<string>();
  for (const password of ranked) {
    if (common.size === COMMON_PASSWORDS) break;
    const folded = fold(password);
    if (Array.from(folded).length >= MIN_LENGTH) common.add(folded);
  }
  return common;
}
