import { AppError } from '../errors.ts';

/** There is none, or it has been accepted, revoked or sent anew, or it has expired: not for others to tell apart. */
export class InvitationNotFoundError extends AppError {
  constructor() {
    super(
      'not_found',
      'invitation_not_found',
      'There is no such invitation, or it is no longer good. Ask for a new one.',
    );
  }
}

export class AlreadyInvitedError extends AppError {
  constructor(cause?: unknown) {
    super(
      'conflict',
      'already_invited',
      'This e-mail address has been invited already. Send that invitation again, or revoke it.',
      { cause },
    );
  }
}

export class AlreadyMemberError extends AppError {
  constructor() {
    super('conflict', 'already_member', 'A member of the organization has this e-mail address.');
  }
}

/** Whoever is signed in is not whom the invitation was sent to. */
export class InvitationForOtherError extends AppError {
  constructor() {
    super(
      'forbidden',
      'invitation_for_other',
      'The invitation is for another e-mail address than the one you are signed in with.',
    );
  }
}

/** It is being accepted, revoked or sent again by another request, or the person is just being removed. */
export class InvitationBusyError extends AppError {
  constructor() {
    super(
      'conflict',
      'invitation_busy',
      'The invitation is being accepted or changed by another request. Try again shortly.',
      { retryAfter: 1 },
    );
  }
}
