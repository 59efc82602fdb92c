import { AppError } from '../errors.ts';

/** An operator's token was sent where an organization is acted in. */
export class OrganizationRequiredError extends AppError {
  constructor() {
    super(
      'forbidden',
      'organization_required',
      "An operator's token opens nothing in an organization. Sign in as one of its members.",
    );
  }
}

/** A member's token or an API key was sent where only operators may act. */
export class OperatorRequiredError extends AppError {
  constructor() {
    super('forbidden', 'operator_required', 'Only an operator of this installation can do this.');
  }
}

/** It can be restored, but not be acted on until it is. */
export class OrganizationDeletedError extends AppError {
  constructor() {
    super(
      'conflict',
      'organization_deleted',
      'This organization is deleted. Restore it first; until its purge_at that is possible.',
    );
  }
}

/** It has been deleted for too long, and is about to be purged. */
export class GracePeriodOverError extends AppError {
  constructor() {
    super(
      'conflict',
      'grace_period_over',
      'The grace period of this organization is over; it is about to be purged.',
    );
  }
}

/** `SIGNUP=operators`: organizations are not made by whoever comes along. */
export class SignupClosedError extends AppError {
  constructor() {
    super(
      'forbidden',
      'signup_closed',
      'Organizations are created by the operators of this installation only.',
    );
  }
}
