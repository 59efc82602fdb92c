import { AppError } from '../errors.ts';

/** An access token or API key that opens nothing (any more). What is wrong with it is not said. */
export class InvalidTokenError extends AppError {
  constructor(message = 'The access token or API key is not valid.', cause?: unknown) {
    super('unauthenticated', 'invalid_token', message, { cause });
  }
}

export class TokenExpiredError extends AppError {
  constructor(cause?: unknown) {
    super('unauthenticated', 'token_expired', 'The access token has expired.', { cause });
  }
}

export class AuthenticationRequiredError extends AppError {
  constructor() {
    super(
      'unauthenticated',
      'authentication_required',
      'Send an access token or an API key: Authorization: Bearer <token>.',
    );
  }
}

export class InvalidRefreshTokenError extends AppError {
  constructor() {
    super(
      'unauthenticated',
      'invalid_refresh_token',
      'The refresh token is not valid. Sign in again.',
    );
  }
}

/** A refresh token came a second time: somebody else may have it, so the session has been ended. */
export class RefreshTokenReusedError extends AppError {
  constructor() {
    super(
      'unauthenticated',
      'refresh_token_reused',
      'This refresh token was used before; the session has been ended. Sign in again.',
    );
  }
}

export class SessionNotFoundError extends AppError {
  constructor() {
    super('not_found', 'session_not_found', 'You have no such session.');
  }
}

export class OrganizationSuspendedError extends AppError {
  constructor() {
    super('forbidden', 'organization_suspended', 'This organization is suspended.');
  }
}
