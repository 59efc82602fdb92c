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

/** E-mail or password is wrong; which one is not said. */
export class InvalidCredentialsError extends AppError {
  constructor() {
    super('unauthenticated', 'invalid_credentials', 'The e-mail address or the password is wrong.');
  }
}
