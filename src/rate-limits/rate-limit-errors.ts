import { AppError } from '../errors.ts';

/** Too many wrong passwords or codes. Nothing was compared: whether this one was right is not said. */
export class TooManyAttemptsError extends AppError {
  /** @param retryAfter - seconds */
  constructor(retryAfter: number) {
    super(
      'too_many_requests',
      'too_many_attempts',
      'Too many failed attempts. Wait, or reset the password.',
      { retryAfter },
    );
  }
}

/** More requests than the operation takes from one place, or about one thing. */
export class RateLimitExceededError extends AppError {
  /** @param retryAfter - seconds */
  constructor(retryAfter: number) {
    super('too_many_requests', 'rate_limit_exceeded', 'Too many requests. Try again later.', {
      retryAfter,
    });
  }
}
