import { AppError } from '../errors.ts';

/** The organization named in the request is not the one the token is for. */
export class OtherOrganizationError extends AppError {
  constructor() {
    super(
      'forbidden',
      'not_your_organization',
      'The organization_name given is not the organization this token is for.',
    );
  }
}
