/**
 * What went wrong, from the caller's point of view. `http/problem-details.ts` holds the one table
 * that maps a kind to an HTTP status; nothing below the HTTP layer knows status codes.
 */
export type ErrorKind =
  | 'malformed'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'not_acceptable'
  | 'timeout'
  | 'conflict'
  | 'gone'
  | 'precondition'
  | 'too_large'
  | 'unsupported_media'
  | 'invalid'
  | 'too_many_requests'
  | 'unavailable';

/** One invalid input field. `path` is a JSON Pointer (RFC 6901) into the body or query, e.g. `/email`. */
export interface FieldError {
  path: string;
  message: string;
}

/** Options of {@link AppError}. */
export interface AppErrorOptions {
  /** The error this one translates; logged, never sent. */
  cause?: unknown;
  /** The fields at fault, when the caller can mend them. */
  errors?: readonly FieldError[];
  /** Seconds after which trying again makes sense (sent as `Retry-After`). */
  retryAfter?: number;
}

/**
 * Base of every error a caller is meant to see. A bare `Error` means a bug, and answers 500.
 *
 * @param kind - decides the HTTP status
 * @param code - stable, lower_snake, one per condition; clients branch on it
 * @param message - a sentence for people; sent as `detail`, so it never holds secrets or driver text
 */
export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly errors: readonly FieldError[] | undefined;
  readonly retryAfter: number | undefined;

  constructor(kind: ErrorKind, code: string, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.kind = kind;
    this.code = code;
    this.errors = options.errors;
    this.retryAfter = options.retryAfter;
  }
}

/** One or more fields of the input break a rule that JSON Schema cannot express. */
export class InvalidFieldError extends AppError {
  /** @param path - JSON Pointer of the field; @param message - the rule it breaks, without the field's name */
  constructor(path: string, message: string) {
    super('invalid', 'validation_failed', `${path.slice(1)}: ${message}`, {
      errors: [{ path, message }],
    });
  }
}
