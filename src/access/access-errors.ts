import { AppError } from '../errors.ts';
import type { Permission } from '../roles/permissions.ts';

export class PermissionDeniedError extends AppError {
  constructor(permission: Permission) {
    super('forbidden', 'permission_denied', `This needs the permission ${permission}.`);
  }
}

/** An API key has no account, no sessions and no password. */
export class PersonRequiredError extends AppError {
  constructor() {
    super('forbidden', 'person_required', 'Only a person who is signed in can do this.');
  }
}
