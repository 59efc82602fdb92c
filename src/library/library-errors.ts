import { AppError } from '../errors.ts';

/** A stage of an aggregation that could read or write outside the organization's collection, or that nobody has looked at yet. */
export class UnsupportedStageError extends AppError {
  /** The stage's name: `$lookup` … */
  readonly stage: string;

  constructor(stage: string) {
    super(
      ...(['invalid', 'unsupported_stage'] as const),
      `An organization's records cannot be aggregated with ${stage}: only stages that stay within its collection can be used.`,
    );
    this.stage = stage;
  }
}

/** An option of the driver's that would not be honoured, such as a session. */
export class UnsupportedOptionError extends AppError {
  constructor(method: string, option: string) {
    super(
      'invalid',
      'unsupported_option',
      `${method} of an organization's records has no option ${option}.`,
    );
  }
}

/** A rename of the organization ended an update of many documents in the middle: some of them are updated. */
export class UpdateInterruptedError extends AppError {
  constructor(cause: unknown) {
    super(
      ...(['unavailable', 'update_interrupted'] as const),
      'The organization was renamed during the update: some documents are updated, and others are not.',
      { cause, retryAfter: 1 },
    );
  }
}

/** The token is good, and for another organization than the one that was asked for. */
export class WrongOrganizationError extends AppError {
  constructor() {
    super('forbidden', 'not_your_organization', 'The token is for another organization.');
  }
}

/** `openTenantry` was given what it cannot work with. */
export class LibraryOptionsError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('invalid', 'invalid_options', message, { cause });
  }
}
