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

/** The password of somebody who is signed in is wrong. Not a 401, which would say that the access token is. */
export class WrongPasswordError extends AppError {
  constructor(cause?: unknown) {
    super('invalid', 'wrong_password', 'current_password: is wrong', {
      cause,
      errors: [{ path: '/current_password', message: 'is wrong' }],
    });
  }
}

/** E-mail or password is wrong; which one is not said. */
export class InvalidCredentialsError extends AppError {
  constructor() {
    super('unauthenticated', 'invalid_credentials', 'The e-mail address or the password is wrong.');
  }
}
