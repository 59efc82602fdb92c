import { AppError } from '../errors.ts';

export class MemberNotFoundError extends AppError {
  constructor() {
    super('not_found', 'member_not_found', 'There is no such member of this organization.');
  }
}

/** An organization always has an owner. */
export class LastOwnerError extends AppError {
  constructor() {
    super(
      'conflict',
      'last_owner',
      'This is the only owner. Make somebody else an owner first, or delete the organization.',
    );
  }
}

/** The member was changed by others again and again while this change was being made. */
export class MemberBusyError extends AppError {
  constructor() {
    super('conflict', 'member_busy', 'The member is being changed by others. Try again shortly.', {
      retryAfter: 1,
    });
  }
}
