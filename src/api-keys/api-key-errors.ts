import { AppError } from '../errors.ts';

export class ApiKeyNotFoundError extends AppError {
  constructor() {
    super('not_found', 'api_key_not_found', 'There is no such API key in this organization.');
  }
}

export class ApiKeyLimitError extends AppError {
  constructor(limit: number) {
    super(
      'conflict',
      'api_key_limit_reached',
      `An organization can have ${limit} API keys. Delete one that is not needed any more.`,
    );
  }
}
