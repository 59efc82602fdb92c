import { AppError } from '../errors.ts';

/** The password is right, and the account asks for a code beside it. Neither a success nor a failed guess. */
export class MfaRequiredError extends AppError {
  constructor() {
    super(
      'unauthenticated',
      'mfa_required',
      'This account has a second factor. Send the code of the authenticator app, or a recovery code, as `code`.',
    );
  }
}

/** The password is right, the code is not: wrong, used before, or none at all. Which one is not said. A failed guess. */
export class InvalidCodeError extends AppError {
  constructor() {
    super('unauthenticated', 'invalid_code', INVALID_CODE);
  }
}

/** As {@link InvalidCodeError}, to somebody who is signed in: there 401 would say that the access token is at fault. */
export class InvalidCodeFieldError extends AppError {
  constructor(cause?: unknown) {
    super('invalid', 'invalid_code', INVALID_CODE, {
      cause,
      errors: [{ path: '/code', message: 'is wrong, or was used before' }],
    });
  }
}

/** As {@link MfaRequiredError}, to somebody who is signed in. */
export class MfaRequiredFieldError extends AppError {
  constructor(cause?: unknown) {
    super(
      'invalid',
      'mfa_required',
      'code: is required, because this account has a second factor',
      {
        cause,
        errors: [
          { path: '/code', message: 'is required, because this account has a second factor' },
        ],
      },
    );
  }
}

/** There is one authenticator app at a time. */
export class MfaAlreadyEnabledError extends AppError {
  constructor() {
    super(
      'conflict',
      'mfa_already_enabled',
      'This account has a second factor already. To replace it, remove it first.',
    );
  }
}

export class MfaNotEnabledError extends AppError {
  constructor() {
    super('conflict', 'mfa_not_enabled', 'This account has no second factor.');
  }
}

/** No enrolment waits for a code: none was begun, it ran out, or too many wrong codes were tried. */
export class MfaNotBegunError extends AppError {
  constructor() {
    super(
      'conflict',
      'mfa_not_begun',
      'There is no enrolment to confirm. Begin one with POST /admin/mfa/totp.',
    );
  }
}

const INVALID_CODE =
  'The code is wrong, or was used before. Wait for the next one, or use a recovery code.';
