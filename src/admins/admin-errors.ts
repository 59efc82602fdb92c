import { AppError } from '../errors.ts';

export class EmailTakenError extends AppError {
  constructor(cause?: unknown) {
    super(
      'conflict',
      'email_taken',
      'This e-mail address already has an account. To use it, give its password.',
      { cause },
    );
  }
}

/** E-mail or password were changed by another request while this one was about to. */
export class CredentialsChangedError extends AppError {
  constructor() {
    super(
      'conflict',
      'credentials_changed',
      'Your e-mail address or password was changed at the same time. Nothing was done; try again.',
    );
  }
}

/** E-mail or password is wrong; which one is not said. */
export class InvalidCredentialsError extends AppError {
  constructor() {
    super('unauthenticated', 'invalid_credentials', 'The e-mail address or the password is wrong.');
  }
}
